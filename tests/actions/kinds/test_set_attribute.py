import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.set_attribute import SetAttribute
from apps.crm import attributes
from apps.crm.models import AttributeValue, Contact
from apps.engine import group, turn
from apps.engine.models import Run
from tests.factories import AttributeFactory, ContactFactory, published

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}


@pytest.fixture
def plan():
    choices = [{"choice": "Silver"}, {"choice": "Gold"}]
    return AttributeFactory(name="Plan", key="plan", type="choice", choices=choices)


def setting(attribute, value, **more):
    return SetAttribute, {"attribute": attribute, "value": value, **more}


def tagging(text):
    return AddTag, {"new_tags": text}


def tags():
    return sorted(Contact.objects.get().tag_links.values_list("tag__name", flat=True))


def test_the_value_is_kept_and_later_actions_read_it(happen, told, plan):
    before, after = tagging("was {{ attr.plan | default: 'none' }}"), tagging("is {{ attr.plan }}")
    steps = [before, setting(plan, "{{ event.plan }}"), after]
    run = happen(steps, event={**ANA, "plan": "gold"}, mapping=BY_PHONE)
    row = AttributeValue.objects.get()
    assert (row.contact.phone, row.text, row.cause, row.cause_id) == (PHONE, "Gold", "run", run.pk)
    assert tags() == ["is Gold", "was none"]
    entry = told(run, "set_attribute")
    assert (entry.result, entry.note) == ("done", "Plan is now Gold")
    assert entry.went_in == {"value": "gold"}


@pytest.mark.parametrize(
    ("type", "raw", "text"),
    [
        ("number", "41.50", "41.5"),
        ("number", "41", "41"),
        ("date", "2026-03-31", "2026-03-31"),
        ("datetime", "2026-03-31T10:00:00+02:00", "2026-03-31T08:00:00+00:00"),
    ],
)
def test_values_read_as_their_types_do_in_texts(happen, type, raw, text):
    made = AttributeFactory(key="seen", type=type)
    happen([setting(made, raw), tagging("{{ attr.seen }}")], event=ANA, mapping=BY_PHONE)
    assert tags() == [text]


@pytest.mark.parametrize(
    ("field", "value", "note"),
    [
        ("name", "Ana", "Name is now Ana"),
        ("email", "Ana@Example.org", "Email is now ana@example.org"),
        ("timezone", "Europe/Berlin", "Timezone is now Europe/Berlin"),
        ("country", "de", "Country is now DE"),
    ],
)
def test_the_fields_of_the_contact_can_be_set(happen, told, field, value, note):
    steps = [
        (SetAttribute, {"field": field, "value": value}),
        tagging("{{ contact[event.field] }}"),
    ]
    run = happen(steps, event={**ANA, "field": field}, mapping=BY_PHONE)
    assert told(run, "set_attribute").note == note
    kept = getattr(Contact.objects.get(), field)
    assert note.endswith(kept) and tags() == [kept]


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_a_bad_value_fails_with_a_sentence_and_the_old_one_stays(
    happen, told, plan, on_error, state
):
    attributes.set_attribute(ContactFactory(phone=PHONE), plan, "Silver")
    steps = [setting(plan, "{{ event.plan }}", on_error=on_error), tagging("{{ attr.plan }}")]
    run = happen(steps, event={**ANA, "plan": "Bronze"}, mapping=BY_PHONE)
    entry = told(run, "set_attribute")
    assert (entry.result, run.state) == ("failed", state)
    assert entry.note == '"Bronze" is not a choice of "Plan": Silver, Gold.'
    assert AttributeValue.objects.get().text == "Silver"
    assert tags() == (["Silver"] if on_error == "continue" else [])


def test_a_missing_value_changes_nothing(happen, told, plan):
    attributes.set_attribute(ContactFactory(phone=PHONE), plan, "Silver")
    run = happen([setting(plan, "{{ event.plan }}")], event=ANA, mapping=BY_PHONE)
    entry = told(run, "set_attribute")
    assert (entry.result, entry.missing) == ("failed", ["event.plan"])
    assert AttributeValue.objects.get().text == "Silver"


def test_an_attribute_that_is_gone_fails(post, drain, clock, told, plan):
    connector = published([setting(plan, "Gold")], mapping=BY_PHONE)
    SetAttribute.objects.all().delete()  # from the draft, which frees the attribute
    plan.delete()
    post(connector, ANA)
    drain()
    assert told(Run.objects.get(), "set_attribute").note == 'Attribute "Plan" was deleted'


def test_without_a_contact_it_is_skipped(happen, told, plan):
    run = happen([setting(plan, "Gold"), tagging("{{ attr.plan }}")])
    assert told(run, "set_attribute").note == "No contact mapped"
    assert not AttributeValue.objects.exists()


def test_a_turn_done_again_sets_it_once(happen, lost_turn, plan):
    run = happen([setting(plan, "Gold")], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state) == ([True], "done")
    assert AttributeValue.objects.get().text == "Gold"


def test_attributes_of_all_contacts_of_a_turn_are_read_in_one_query(
    post, drain, clock, plan, monkeypatch
):
    """However many runs wake together, and not at all where no text asks for them."""
    monkeypatch.setattr(group, "SECONDS", 60)
    monkeypatch.setattr(turn, "_reach", 20)
    reading = [(Delay, {"amount": 1}), tagging("{{ attr.plan | upcase }}")]
    connector = published(reading, mapping=BY_PHONE)
    for number in range(6):
        contact = ContactFactory(phone=f"+491511234567{number}")
        attributes.set_attribute(contact, plan, "Gold" if number % 2 else "Silver")
        post(connector, {"phone": contact.phone})

    def reads():
        with CaptureQueriesContext(connection) as captured:
            drain()
        return sum("crm_attributevalue" in query["sql"] for query in captured)

    assert reads() == 0
    clock.tick(hours=1)
    assert reads() == 1
    links = Contact.objects.values_list("tag_links__tag__name", flat=True).order_by("phone")
    assert list(links) == ["SILVER", "GOLD"] * 3


def test_what_is_missing_is_a_problem(plan):
    assert SetAttribute().problems() == ["Choose an attribute.", "Fill in the value."]
    assert SetAttribute(field="name", value="Ana").problems() == []
    assert SetAttribute(attribute=plan, value="Gold").problems() == []
    assert SetAttribute(attribute=plan, value="Gold").summary() == "Plan = Gold"
    assert SetAttribute(field="name", value="Ana").summary() == "Name = Ana"
