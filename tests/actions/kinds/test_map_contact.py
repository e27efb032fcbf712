import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.map_contact import MapContact
from apps.crm.models import Contact, ContactTag
from tests.factories import ContactFactory

pytestmark = pytest.mark.django_db

MAP = {"phone": "{{ event.phone }}", "email": "{{ event.email }}", "name": "{{ event.name }}"}
TAG = (AddTag, {"new_tags": "seen"})


def test_the_contact_is_created_and_later_actions_act_on_it(happen, told):
    event = {"phone": "+49 151 12345678", "name": "Ana", "email": "Ana@Example.org"}
    run = happen([(MapContact, MAP), TAG], event=event)
    contact = Contact.objects.get()
    assert (contact.phone, contact.name) == ("+4915112345678", "Ana")
    assert contact.email.lower() == "ana@example.org"
    assert ContactTag.objects.get().contact == contact
    assert run.contact_id == contact.pk
    entry = told(run, "map_contact")
    assert (entry.note, entry.came_out) == ("Contact created", {"id": contact.pk, "created": True})


def test_a_known_contact_is_found_and_blank_details_change_nothing(happen, told):
    known = ContactFactory(phone="+4915112345678", name="Ana")
    run = happen([(MapContact, MAP)], event={"phone": "4915112345678", "name": ""})
    known.refresh_from_db()
    assert (run.contact_id, known.name, Contact.objects.count()) == (known.pk, "Ana", 1)
    assert told(run, "map_contact").note == "Contact found"


def test_an_email_address_is_enough(happen):
    happen([(MapContact, MAP)], event={"email": "ana@example.org"})
    assert (Contact.objects.get().email, Contact.objects.get().phone) == ("ana@example.org", None)


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ({"phone": "12"}, '"12" is not a valid mobile number: it needs the country code.'),
        ({"email": "ana at home"}, '"ana at home" is not an email address.'),
        ({}, "The event has neither mobile number nor email address."),
    ],
)
def test_what_cannot_be_read_unsets_the_contact(happen, told, event, sentence):
    event = {"first": "+4915112345678", **event}
    run = happen([(MapContact, MAP), TAG], event=event, mapping={"phone": "{{ event.first }}"})
    entry = told(run, "map_contact")
    assert (entry.result, entry.note) == ("failed", sentence)
    assert (told(run, "add_tag").note, run.contact_id) == ("No contact mapped", None)
    assert Contact.objects.count() == 1  # the mapped one


def test_on_error_stop_ends_the_run_as_failed(happen):
    run = happen([(MapContact, {**MAP, "on_error": "stop"}), TAG], event={"phone": "x"})
    assert run.state == "failed"
    assert run.error.startswith('Map Contact: "x" is not a valid mobile number')


def test_another_contact_may_be_mapped_later(happen):
    steps = [
        (MapContact, {"phone": "{{ event.buyer }}"}),
        TAG,
        (MapContact, {"phone": "{{ event.seller }}"}),
        (AddTag, {"new_tags": "sold, to {{ mapped.map_contact.id }}"}),
    ]
    happen(steps, event={"buyer": "+4915112345678", "seller": "+4915112345679"})
    buyer = Contact.objects.get(phone="+4915112345678")
    links = ContactTag.objects.values_list("contact__phone", "tag__name")
    assert sorted(links) == [
        ("+4915112345678", "seen"),
        ("+4915112345679", "sold"),
        ("+4915112345679", f"to {buyer.pk}"),
    ]


def test_a_turn_done_again_creates_one_contact(happen, lost_turn):
    run = happen([(MapContact, MAP)], event={"phone": "+4915112345678"})
    assert (lost_turn, run.state) == ([True], "done")
    assert Contact.objects.get().pk == run.contact_id


def test_what_is_missing_is_a_problem():
    assert MapContact().problems() == ["Fill in the mobile number or the email address."]
    assert MapContact(email="{{ event.email }}").problems() == []
