"""The pages of messages, and settling by hand."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.core import clock as core_clock
from apps.engine.models import Run
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, ContactFactory

pytestmark = pytest.mark.django_db
LIST = reverse("admin:messaging_message_changelist")
ANA = "+4915112345678"


def message(channel=None, **columns):
    return Message.objects.create(
        **{
            "channel": channel or ChannelFactory(),
            "address": ANA,
            "text": "Your parcel is on its way",
            "wake_at": core_clock.now(),
            "state": "unknown",
            "reason": "The answer of the gateway was lost.",
            **columns,
        }
    )


def page_of(client, row):
    return client.get(reverse("admin:messaging_message_change", args=[row.pk])).content.decode()


def test_the_page_tells_what_is_known(admin_client):
    ana = ContactFactory(name="Ana", phone=ANA)
    row = message(contact=ana, cause="run", cause_id=77, text="Two\nlines <b>")
    page = page_of(admin_client, row)
    assert "Outcome unknown" in page and "The answer of the gateway was lost." in page
    assert "Two\nlines &lt;b&gt;" in page and ">Ana</a>" in page
    assert reverse("admin:engine_run_change", args=[77]) in page and ">Run 77</a>" in page
    assert "Mark as sent" in page
    sent = page_of(admin_client, message(state="sent", reason=""))
    assert "Mark as" not in sent


def test_messages_outlive_their_contact(admin_client):
    ana = ContactFactory()
    row = message(contact=ana)
    ana.delete()
    assert "Outcome unknown" in page_of(admin_client, row)
    assert admin_client.get(LIST).status_code == 200


@pytest.mark.parametrize(("outcome", "state"), [("sent", "sent"), ("not-sent", "failed")])
def test_an_unknown_outcome_is_settled_by_hand_after_asking(
    outcome, state, admin_client, clock, drain
):
    row = message()
    url = reverse("admin:messaging_message_settle", args=[row.pk, outcome])
    assert "Nothing is sent by this." in admin_client.get(url).content.decode()
    row.refresh_from_db()
    assert row.state == "unknown"
    admin_client.post(url)
    row.refresh_from_db()
    assert (row.state, row.reason, row.settled_at) == (state, "Settled by admin", clock.now)
    assert drain() == 0
    assert not PhoneMessage.objects.exists()


@pytest.mark.parametrize("state", [s for s in Message.State.values if s != "unknown"])
def test_no_other_state_can_be_settled(state, admin_client):
    row = message(state=state, reason="as it was")
    url = reverse("admin:messaging_message_settle", args=[row.pk, "sent"])
    page = admin_client.post(url, follow=True).content.decode()
    assert "Only messages with an unknown outcome can be settled by hand." in page
    row.refresh_from_db()
    assert (row.state, row.reason) == (state, "as it was")


def test_chosen_messages_are_settled_after_asking(admin_client):
    first, second, sent = message(), message(), message(state="sent", reason="")
    chosen = {"action": "mark_as_not_sent", "_selected_action": [first.pk, sent.pk]}
    assert "Mark as not sent what" in admin_client.post(LIST, chosen).content.decode()
    assert Message.objects.filter(state="unknown").count() == 2
    done = admin_client.post(LIST, {**chosen, "confirmed": 1}, follow=True).content.decode()
    assert "Settled: 1 of 2 messages." in done
    states = [Message.objects.get(pk=row.pk).state for row in (first, second, sent)]
    assert states == ["failed", "unknown", "sent"]


def test_filters_and_search(admin_client):
    shop = ChannelFactory(name="Shop line")
    message(shop, text="first-text")
    message(text="second-text", address="ben@example.com", state="sent")

    def found(**query):
        page = admin_client.get(LIST, query).content.decode()
        return [text for text in ("first-text", "second-text") if text in page]

    assert found() == ["first-text", "second-text"]
    assert found(state__exact="sent") == ["second-text"]
    assert found(channel__id__exact=shop.pk) == ["first-text"]
    assert found(q="+49 151 12345678") == ["first-text"]
    assert found(q="ben@example.com") == ["second-text"]
    assert found(q="ben@") == []


def test_the_list_shows_text_and_reason_as_text(admin_client):
    message(text="<b>Hello</b>\nAna")
    message(text="Sent one", state="sent", reason="")
    page = admin_client.get(LIST).content.decode()
    assert ">&lt;b&gt;Hello&lt;/b&gt; Ana</span>" in page
    assert ">The answer of the gateway was lost.</span>" in page
    assert ">Sent one</span>" in page and "&lt;span" not in page


def test_the_list_takes_the_same_queries_for_any_number_of_rows(admin_client):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(LIST)
        assert not [q for q in captured if "COUNT(" in q["sql"].upper()]
        return len(captured)

    message(contact=ContactFactory(), cause="run", cause_id=1)
    few = queries()
    for _ in range(20):
        message(contact=ContactFactory(), cause="run", cause_id=Run.objects.count())
    assert queries() == few
