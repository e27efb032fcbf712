"""What real senders post, from HTTP to effect (tests/payloads/README.md)."""

import json
from datetime import UTC, datetime

import pytest
from django.test import Client

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.send_message import SendMessage
from apps.crm.models import Contact
from apps.engine.models import Attempt, Event, Run
from apps.engine.models import Delay as Sleeping
from apps.messaging.sandbox.models import PhoneMessage
from tests.conftest import PAYLOADS
from tests.factories import ChannelFactory, published

pytestmark = pytest.mark.django_db


@pytest.fixture
def deliver(clock, drain):
    """Post a payload as its sender does, do what is due, and return the answer's JSON."""

    def send(connector, name):
        request = json.loads((PAYLOADS / f"{name}.json").read_text())
        headers = request["headers"]
        answer = Client().post(
            f"/hooks/{connector.token}",
            json.dumps(request["body"], ensure_ascii=False).encode(),
            content_type=headers.pop("Content-Type"),
            headers=headers,
        )
        assert answer.status_code == 202
        event = Event.objects.get(pk=answer.json()["event_id"])
        assert event.payload == request["body"]
        drain()
        return answer.json()

    return send


def message(text, to="{{ contact.phone }}"):
    return SendMessage, {"channel": ChannelFactory(), "recipients": [{"to": to}], "text": text}


def only_if(left, operator, right):
    return Filter, {"conditions": [{"left": left, "operator": operator, "right": right}]}


def arrived():
    """(number, text) of every message on the sandbox phone."""
    return list(PhoneMessage.objects.order_by("pk").values_list("address", "text"))


def tags(contact):
    return sorted(str(link) for link in contact.tag_links.all())


def test_a_shopify_order_thanks_and_tags_its_buyer_once(deliver):
    shop = published(
        [
            only_if("event.total_price", "number:greater", "50"),
            (AddTag, {"new_tags": "buyer, {{ event.tags }}"}),
            message(
                "Hi {{ event.customer.first_name }}, order {{ event.name }} of "
                "{{ event.total_price }} {{ event.currency }} is on its way:"
                "{% for item in event.line_items %}\n{{ item.quantity }} × {{ item.name }}"
                "{% endfor %}\nYour note: {{ event.note }}\n"
                "{{ event.note_attributes[0]['name'] }}: {{ event.note_attributes[0].value }}"
            ),
        ],
        [
            only_if("event.total_price", "number:greater", "500"),
            (AddTag, {"new_tags": "big spender"}),
        ],
        mapping={
            "phone": "{{ event.shipping_address.phone }}",
            "email": "{{ event.email }}",
            "name": "{{ event.customer.first_name }} {{ event.customer.last_name }}",
            "country": "{{ event.shipping_address.country_code }}",
        },
        dedupe_header="X-Shopify-Event-Id",
    )
    first = deliver(shop, "shopify_orders_create")
    again = deliver(shop, "shopify_orders_create")
    assert again == {**first, "duplicate": True}
    assert arrived() == [
        (
            "+4915112345678",
            "Hi Ana, order #1042 of 99.00 EUR is on its way:\n"
            "2 × Enamel mug - Blue\n1 × Leather notebook - A5 / Cognac\n"
            "Your note: Bitte beim Nachbarn abgeben – danke! 🎁\nGift wrap: yes",
        )
    ]
    contact = Contact.objects.get()
    assert (contact.phone, contact.email) == ("+4915112345678", "ana.mueller@example.com")
    assert (contact.name, contact.country) == ("Ana Müller", "DE")
    assert tags(contact) == ["buyer", "newsletter", "spring"]
    assert Run.objects.get().state == Run.State.DONE


def test_a_stripe_checkout_is_confirmed_in_dollars(deliver):
    session = "event.data.object"
    courses = published(
        [
            only_if("event.type", "text:is", "checkout.session.completed"),
            only_if(f"{session}.amount_total", "number:equals", "10320"),
            message(
                f"Thank you, {{{{ {session}.customer_details.name }}}}! You paid "
                f"{{{{ {session}.amount_total | divided_by: 100.0 }}}} "
                f"{{{{ {session}.currency | upcase }}}} for {{{{ {session}.metadata.course }}}}."
            ),
            (AddTag, {"new_tags": f"{{{{ {session}.metadata.course }}}}"}),
        ],
        mapping={
            "phone": f"{{{{ {session}.customer_details.phone }}}}",
            "email": f"{{{{ {session}.customer_details.email }}}}",
        },
    )
    deliver(courses, "stripe_checkout_session_completed")
    text = "Thank you, Ben Carter! You paid 103.2 USD for Pottery for beginners."
    assert arrived() == [("+14155552671", text)]
    contact = Contact.objects.get()
    assert (contact.email, tags(contact)) == ("ben.carter@example.com", ["Pottery for beginners"])


def test_a_github_issue_alerts_a_fixed_number_once_per_delivery(deliver):
    alerts = published(
        [
            only_if("event.action", "text:is", "opened"),
            (AddTag, {"new_tags": "reporter"}),
            message(
                "{{ event.repository.full_name }} #{{ event.issue.number }} by "
                "{{ event.sender.login }}: {{ event.issue.title }} "
                "[{{ event.issue.labels | map: 'name' | join: ', ' }}]\n{{ event.issue.body }}",
                to="+1 (415) 555-2671",
            ),
        ],
        dedupe_header="x-github-delivery",
    )
    first = deliver(alerts, "github_issues_opened")
    assert deliver(alerts, "github_issues_opened") == {**first, "duplicate": True}
    ((number, text),) = arrived()
    assert number == "+14155552671"
    assert text == (
        'example-org/kiln-firmware #128 by kiln-tester: Kiln overshoots by 40 °C & "holds" forever '
        "[bug, urgent]\nSince **v2.3** the controller overshoots.\r\n\r\n"
        "```c\r\nif (t > {{ target }}) stop();\r\n```\r\n"
    )
    assert not Contact.objects.exists()
    skipped = Attempt.objects.get(kind="add_tag")
    assert (skipped.result, skipped.note) == ("skipped", "No contact mapped")


@pytest.fixture
def meetings():
    """(booked, cancelled): one reminds an hour before the start, the other cancels reminders."""
    booked = published(
        [
            message("See you on {{ event.payload.scheduled_event.start_time }}"),
            (
                Delay,
                {
                    "counts_from": "custom",
                    "direction": "before",
                    "amount": 1,
                    "unit": "hours",
                    "date": "{{ event.payload.scheduled_event.start_time }}",
                    "identifier": "{{ event.payload.event }}",
                },
            ),
            message("In an hour: {{ event.payload.scheduled_event.location.join_url }}"),
        ],
        mapping={
            "phone": "{{ event.payload.text_reminder_number }}",
            "email": "{{ event.payload.email }}",
            "name": "{{ event.payload.name }}",
            "timezone": "{{ event.payload.timezone }}",
        },
    )
    target = {"connector": booked, "identifier": "{{ event.payload.event }}"}
    cancelled = published(
        [
            (CancelDelay, {"rows": {"targets": [target]}}),
            message(
                "Cancelled: {{ event.payload.cancellation.reason }}",
                to="{{ event.payload.text_reminder_number }}",
            ),
        ]
    )
    return booked, cancelled


def test_a_calendly_booking_reminds_an_hour_before(deliver, meetings, clock, drain):
    booked, _ = meetings
    deliver(booked, "calendly_invitee_created")
    contact = Contact.objects.get()
    assert (contact.phone, contact.name) == ("+33612345678", "Léa Dubois")
    assert contact.timezone == "Europe/Paris"
    sleeping = Sleeping.objects.get()
    assert sleeping.wake_at == datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
    assert sleeping.identifier == "https://api.calendly.com/scheduled_events/EXAMPLEEVENT0001"
    assert len(arrived()) == 1
    clock.tick(days=2, hours=1, minutes=59)  # 13:59
    drain()
    assert len(arrived()) == 1
    clock.tick(minutes=1)
    drain()
    assert arrived()[1] == ("+33612345678", "In an hour: https://meet.example.com/j/5550001")
    assert Run.objects.get().state == Run.State.DONE


def test_a_calendly_cancellation_ends_the_reminder(deliver, meetings, clock, drain):
    booked, cancelled = meetings
    deliver(booked, "calendly_invitee_created")
    clock.tick(hours=20)
    deliver(cancelled, "calendly_invitee_canceled")
    assert arrived()[-1] == ("+33612345678", "Cancelled: I am ill, sorry")
    assert Attempt.objects.get(kind="cancel_delay").came_out == {"count": 1}
    assert Run.objects.get(connector=booked).state == Run.State.CANCELLED
    clock.tick(days=3)
    drain()
    assert len(arrived()) == 2  # the reminder never comes


def test_a_woocommerce_order_on_delivery_is_announced_once(deliver, settings):
    settings.TIME_ZONE = "Europe/Prague"
    shop = published(
        [
            only_if("event.total", "number:between", "1000,5000"),
            only_if("event.billing.email", "email:ends_with", "@example.com"),
            only_if("event.date_created", "datetime:on", "{{ now }}"),
            only_if("event.date_paid", "datetime:empty", ""),
            message(
                "Order {{ event.number }}: {{ event.total }} {{ event.currency_symbol }} "
                "({{ event.payment_method_title }})\n"
                "{% for item in event.line_items %}{{ item.quantity }} × {{ item.name }}\n"
                "{% endfor %}{{ event.coupon_lines[0].code }}, "
                "{{ event.meta_data[3].value.card }} {{ event.customer_note }}"
            ),
            (AddTag, {"new_tags": "{{ event.meta_data[1].value }}"}),
        ],
        [
            only_if("event.line_items[1].meta_data[0].value", "date:after", "2026-03-14"),
            (AddTag, {"new_tags": "late"}),
        ],
        mapping={
            "phone": "{{ event.billing.phone }}",
            "email": "{{ event.billing.email }}",
            "name": "{{ event.billing.first_name }} {{ event.billing.last_name }}",
            "country": "{{ event.billing.country }}",
        },
        dedupe_header="X-WC-Webhook-Delivery-ID",
    )
    first = deliver(shop, "woocommerce_order_created")
    assert deliver(shop, "woocommerce_order_created") == {**first, "duplicate": True}
    assert arrived() == [
        (
            "+420601123456",
            "Order 727: 1489.00 Kč (Cash on delivery)\n"
            "2 × Stoneware bowl - Ø 22 cm\n1 × Workshop & tea\n"
            "spring200, Všechno nejlepší! Zvonek nefunguje,\r\nprosím volejte.",
        )
    ]
    contact = Contact.objects.get()
    assert (contact.name, contact.country) == ("Marta Novák", "CZ")
    assert (contact.email, tags(contact)) == ("marta.novak@example.com", ["newsletter"])


def test_the_ping_that_woocommerce_sends_first_is_no_order(post, drain, clock):
    shop = published(
        [only_if("event.billing.phone", "text:not_empty", ""), message("Thanks!")],
        mapping={"phone": "{{ event.billing.phone }}"},
    )
    form = "application/x-www-form-urlencoded"
    assert post(shop, data="webhook_id=3", content_type=form).status_code == 202
    drain()
    assert Event.objects.get().payload == {"webhook_id": "3"}
    assert (arrived(), Run.objects.get().state) == ([], Run.State.DONE)


def test_a_typeform_answer_of_every_type_is_understood(deliver):
    answers = "event.form_response.answers"
    courses = published(
        [
            only_if("event.event_type", "text:is", "form_response"),
            only_if(f"{answers}[2].email", "email:is", "tome@mail.example.com"),
            only_if(f"{answers}[3].choice.label", "text:in_list", "Raku, Wheel throwing"),
            only_if(f"{answers}[4].choices.labels", "text:contains", "thursday"),
            only_if(f"{answers}[5].date", "date:not_before", "{{ now }}"),
            only_if(f"{answers}[6].number", "number:equals", "2"),
            only_if(f"{answers}[7].url", "website:starts_with", "https://tome."),
            only_if(f"{answers}[8].boolean", "text:is", "true"),
            only_if("event.form_response.calculated.score", "number:greater", "5"),
            only_if("event.form_response.hidden.customer_id", "text:empty", ""),
            message(
                f"{{{{ {answers}[0].text }}}}: {{{{ {answers}[3].choice.label }}}} on "
                f"{{{{ {answers}[4].choices.labels | join: ' and ' }}}}"
                f"{{% for answer in {answers} %}}{{% if answer.field.ref == 'start' %}}"
                " from {{ answer.date }}{% endif %}{% endfor %}. "
                "{{ event.form_response.definition.fields[1].title }}"
            ),
            (AddTag, {"new_tags": "{{ event.form_response.hidden.utm_source }}"}),
        ],
        mapping={
            "phone": f"{{{{ {answers}[1].phone_number }}}}",
            "email": f"{{{{ {answers}[2].email }}}}",
            "name": f"{{{{ {answers}[0].text }}}}",
        },
    )
    deliver(courses, "typeform_form_response")
    assert set(Attempt.objects.filter(kind="filter").values_list("note", flat=True)) == {"Passed"}
    text = (
        "Tomé d’Ávila: Wheel throwing on Tuesday and Thursday from 2026-03-10. "
        "Hi {{field:name}}, which number can we write to?"
    )
    assert arrived() == [("+351912345678", text)]
    contact = Contact.objects.get()
    assert (contact.name, contact.email) == ("Tomé d’Ávila", "tome@mail.example.com")
    assert tags(contact) == ["instagram"]


def test_a_google_form_is_read_by_its_questions(deliver):
    def answer(question):
        return f'event.namedValues["{question}"][0]'

    first_day = answer("First day")
    workshop = published(
        [
            only_if(answer("Which days suit you?"), "text:contains", "tuesday"),
            only_if(answer("Seats"), "number:less", "3"),
            only_if(f'{first_day} | date: "%Y-%m-%d"', "date:after", "{{ now }}"),
            only_if(f'{answer("Arrival time")} | date: "%H:%M"', "time:between", "08:00,10:00"),
            only_if(answer("Anything else? (optional)"), "text:empty", ""),
            message(
                "Hi {{ event.namedValues['Full name'][0] }}, see you on "
                f"{{{{ {first_day} }}}} (row {{{{ event.range.rowStart }}}})."
            ),
        ],
        [only_if(first_day, "date:after", "{{ now }}"), message("Never sent")],
        mapping={
            "phone": f"{{{{ {answer('Mobile number (with country code)')} }}}}",
            "email": f"{{{{ {answer('Email Address')} }}}}",
            "name": f"{{{{ {answer('Full name')} }}}}",
        },
    )
    deliver(workshop, "google_forms_submit")
    assert arrived() == [("+351912345679", "Hi Inês Costa, see you on 3/10/2026 (row 14).")]
    contact = Contact.objects.get()
    assert (contact.name, contact.email) == ("Inês Costa", "ines.costa@example.com")
    # As the sheet spells it, a date is no ISO date.
    last = Attempt.objects.filter(kind="filter").latest("pk")
    assert last.note == 'Not passed: "3/10/2026" is not a date'
