import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.clear_attribute import ClearAttribute
from apps.crm import attributes
from apps.crm.models import AttributeValue, Contact
from tests.factories import AttributeFactory, ContactFactory

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}


@pytest.fixture
def plan():
    """An attribute that two contacts have a value of."""
    plan = AttributeFactory(name="Plan", key="plan")
    for phone in (PHONE, "+4915187654321"):
        attributes.set_attribute(ContactFactory(phone=phone, name="Ana"), plan, "Gold")
    return plan


def test_the_value_is_forgotten_and_later_actions_miss_it(happen, told, plan):
    tagging = AddTag, {"new_tags": "plan {{ attr.plan }}"}
    steps = [tagging, (ClearAttribute, {"attribute": plan}), tagging]
    run = happen(steps, event=ANA, mapping=BY_PHONE)
    assert AttributeValue.objects.get().contact.phone == "+4915187654321"
    assert told(run, "clear_attribute").note == "Plan was cleared"
    last = told(run, "add_tag")
    assert (last.went_in["tags"], last.missing) == (["plan"], ["attr.plan"])


def test_an_empty_one_is_nothing_to_do(happen, told, plan):
    AttributeValue.objects.all().delete()
    run = happen([(ClearAttribute, {"attribute": plan})], event=ANA, mapping=BY_PHONE)
    entry = told(run, "clear_attribute")
    assert (entry.result, entry.note) == ("done", "Plan was empty")


def test_a_field_of_the_contact_is_emptied(happen, told, plan):
    steps = [(ClearAttribute, {"field": "name"}), (AddTag, {"new_tags": "x{{ contact.name }}"})]
    run = happen(steps, event=ANA, mapping=BY_PHONE)
    assert Contact.objects.get(phone=PHONE).name == ""
    assert told(run, "clear_attribute").note == "Name was cleared"
    assert told(run, "add_tag").went_in["tags"] == ["x"]


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_the_email_address_that_says_who_it_is_stays(happen, told, on_error, state):
    columns = {"field": "email", "on_error": on_error}
    mapping = {"email": "{{ event.email }}"}
    event = {"email": "ana@example.org"}
    run = happen([(ClearAttribute, columns)], event=event, mapping=mapping)
    entry = told(run, "clear_attribute")
    assert (entry.result, run.state) == ("failed", state)
    assert entry.note == "The email address stays: nothing else says who the contact is."
    assert Contact.objects.get().email == "ana@example.org"


def test_without_a_contact_it_is_skipped(happen, told, plan):
    run = happen([(ClearAttribute, {"attribute": plan})])
    assert told(run, "clear_attribute").note == "No contact mapped"
    assert AttributeValue.objects.count() == 2


def test_a_turn_done_again_ends_the_same(happen, lost_turn, told, plan):
    run = happen([(ClearAttribute, {"attribute": plan})], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state) == ([True], "done")
    assert told(run, "clear_attribute").note == "Plan was cleared"


def test_what_is_missing_is_a_problem(plan):
    assert ClearAttribute().problems() == ["Choose an attribute."]
    assert ClearAttribute(field="email").problems() == []
    assert ClearAttribute(attribute=plan).summary() == "Plan"
