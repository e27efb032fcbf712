import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.delete_contact import DeleteContact
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.send_message import SendMessage
from apps.crm.models import Contact, ContactTag, Erasure
from apps.crm.services import add_tags
from apps.engine.models import Run
from apps.messaging.models import Message
from tests.factories import ChannelFactory, ContactFactory, TagFactory, published

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}
DELETE = (DeleteContact, {})


def test_the_contact_goes_with_all_that_is_known(happen, told):
    ana, other = ContactFactory(phone=PHONE), ContactFactory()
    for contact in (ana, other):
        add_tags(contact, [TagFactory()])
    run = happen([DELETE], event=ANA, mapping=BY_PHONE)
    assert list(Contact.everyone.all()) == [other]
    assert ContactTag.objects.get().contact == other
    entry = told(run, "delete_contact")
    assert (entry.result, entry.note, run.state) == ("done", "The contact was deleted", "done")
    job = Erasure.objects.get()
    assert (job.state, job.cause, job.cause_id, job.with_history) == ("done", "run", run.pk, False)


def test_later_actions_that_need_a_contact_are_skipped(happen, told):
    steps = [DELETE, (AddTag, {"new_tags": "late"}), (MapContact, {"phone": PHONE, "name": "New"})]
    run = happen(steps, event=ANA, mapping=BY_PHONE)
    assert told(run, "add_tag").note == "No contact mapped"
    assert told(run, "map_contact").note == "Contact created"
    assert Contact.everyone.get().name == "New"


def test_other_runs_that_wait_go_on_without_the_contact(post, drain, clock, told):
    waiting = published([(Delay, {"amount": 1}), (AddTag, {"new_tags": "x"})], mapping=BY_PHONE)
    post(waiting, ANA)
    drain()
    post(published([DELETE], mapping=BY_PHONE), ANA)
    drain()
    clock.tick(hours=1)
    drain()
    run = Run.objects.get(connector=waiting)
    assert (run.state, told(run, "add_tag").note) == ("done", "No contact mapped")


def test_what_waits_to_be_sent_is_cancelled(happen):
    channel = ChannelFactory()
    hello = {"channel": channel, "recipients": [{"to": PHONE}], "text": "Hello"}
    happen([(SendMessage, hello), DELETE], event=ANA, mapping=BY_PHONE)
    message = Message.objects.get()
    assert (message.state, message.reason) == ("cancelled", "The contact was deleted.")


def test_deleting_twice_and_without_a_contact_is_skipped(happen, told):
    ContactFactory(phone=PHONE)
    run = happen([DELETE, DELETE], event=ANA, mapping=BY_PHONE)
    entry = told(run, "delete_contact")
    assert (entry.result, entry.note, run.state) == ("skipped", "No contact mapped", "done")
    assert told(happen([DELETE]), "delete_contact").note == "No contact mapped"


def test_on_error_is_not_asked_when_the_run_lost_its_contact(happen, told):
    """There is nothing that it could fail of: a contact that is gone is what was wanted."""
    run = happen([(DeleteContact, {"on_error": "stop"})], event={"phone": "x"}, mapping=BY_PHONE)
    assert (run.state, told(run, "delete_contact").result) == ("done", "skipped")


def test_a_turn_done_again_deletes_once(happen, lost_turn):
    ContactFactory(phone=PHONE)
    run = happen([DELETE], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state) == ([True], "done")
    assert Erasure.objects.count() == 1 and not Contact.everyone.exists()
