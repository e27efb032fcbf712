"""The main job: an event posted to a connector runs its steps, durably."""

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.send_message import SendMessage
from apps.crm.models import Contact
from apps.engine.models import Attempt, Run
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, published

pytestmark = pytest.mark.django_db

ORDER = {"id": 7, "total": 99, "customer": {"phone": "+49 151 12345678", "name": "Ana"}}


def shop():
    return published(
        [
            (
                Filter,
                {
                    "conditions": [
                        {"left": "event.total", "operator": "number:greater", "right": "50"}
                    ]
                },
            ),
            (AddTag, {"new_tags": "buyer"}),
            (
                SendMessage,
                {
                    "channel": ChannelFactory(),
                    "recipients": [{"to": "{{ contact.phone }}"}],
                    "text": "Hi {{ contact.name }}, thanks for order {{ event.id }}!",
                },
            ),
        ],
        [(Delay, {"amount": 2, "unit": "hours"}), (AddTag, {"new_tags": "later"})],
        mapping={"phone": "{{ event.customer.phone }}", "name": "{{ event.customer.name }}"},
    )


def test_an_order_becomes_a_message_on_the_phone(post, drain, clock):
    answer = post(shop(), ORDER)
    assert answer.status_code == 202
    drain()
    arrived = PhoneMessage.objects.get()
    assert (arrived.address, arrived.text) == ("+4915112345678", "Hi Ana, thanks for order 7!")
    assert Message.objects.get().state == Message.State.SENT
    contact = Contact.objects.get()
    assert [str(link) for link in contact.tag_links.all()] == ["buyer"]

    run = Run.objects.get()
    assert (run.state, run.event_id) == (Run.State.WAITING, answer.json()["event_id"])
    clock.tick(hours=1, minutes=59)
    drain()
    run.refresh_from_db()
    assert run.state == Run.State.WAITING
    clock.tick(minutes=1)
    drain()
    run.refresh_from_db()
    assert run.state == Run.State.DONE
    assert contact.tag_links.count() == 2


def test_the_timeline_tells_what_went_in_and_came_out(post, drain, clock):
    post(shop(), ORDER)
    drain()
    story = list(Attempt.objects.order_by("pk"))
    assert [entry.label for entry in story] == [
        "Field mapping",
        "Filter",
        "Add Tag",
        "Send Message",
        "Delay",
    ]
    seen = story[1].went_in["conditions"][0]
    assert (seen["left"], seen["right"], seen["passed"]) == (99, "50", True)
    assert story[3].went_in["message"] == "Hi Ana, thanks for order 7!"
    assert story[3].came_out["verdict"] == "send"
    assert all(entry.duration_us > 0 for entry in story)


def test_a_false_filter_skips_the_rest_of_its_step_only(post, drain, clock):
    post(shop(), {**ORDER, "total": 10})
    drain()
    assert not PhoneMessage.objects.exists()
    assert Run.objects.get().state == Run.State.WAITING  # the second step's delay
    skipped = Attempt.objects.get(kind="filter")
    assert (skipped.result, skipped.note) == ("skipped", "Not passed: event.total greater than 50")
