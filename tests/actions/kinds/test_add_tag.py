import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.crm.models import Contact, ContactTag, Tag
from tests.factories import ContactFactory, TagFactory

pytestmark = pytest.mark.django_db

ANA = {"phone": "+4915112345678"}
BY_PHONE = {"phone": "{{ event.phone }}"}


def tagged():
    return sorted(ContactTag.objects.values_list("tag__name", flat=True))


def test_picked_and_typed_tags_are_put_on_the_contact(happen, told):
    vip = TagFactory(name="vip")
    columns = {"new_tags": "{{ event.plan }}, from shop ,", "rows": {"tags": [{"tag": vip}]}}
    run = happen([(AddTag, columns)], event={**ANA, "plan": "Gold"}, mapping=BY_PHONE)
    assert tagged() == ["Gold", "from shop", "vip"]
    assert set(ContactTag.objects.values_list("cause", "cause_id")) == {("run", run.pk)}
    entry = told(run, "add_tag")
    assert (entry.result, entry.note) == ("done", "Added vip, Gold, from shop")
    assert entry.went_in["tags"] == ["vip", "Gold", "from shop"]


def test_a_tag_that_the_contact_has_stays_once(happen, told):
    TagFactory(name="VIP")
    for _ in range(2):
        run = happen([(AddTag, {"new_tags": "vip, Vip"})], event=ANA, mapping=BY_PHONE)
    assert tagged() == ["VIP"]
    assert Tag.objects.count() == 1
    assert told(run, "add_tag").note == "The contact had VIP already"


def test_nothing_to_add_is_fine(happen, told):
    run = happen([(AddTag, {"new_tags": "{{ event.none }}"})], event=ANA, mapping=BY_PHONE)
    entry = told(run, "add_tag")
    assert (entry.result, entry.note, entry.missing) == ("done", "No tag to add", ["event.none"])
    assert not Tag.objects.exists()


def test_without_a_contact_it_is_skipped(happen, told):
    run = happen([(AddTag, {"new_tags": "vip"})])
    entry = told(run, "add_tag")
    assert (entry.result, entry.note, run.state) == ("skipped", "No contact mapped", "done")
    assert not Tag.objects.exists()


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_text_that_cannot_be_filled_in_fails_with_a_sentence(happen, told, on_error, state):
    columns = {"new_tags": "{{ 1 | divided_by: event.zero }}", "on_error": on_error}
    steps = [(AddTag, columns), (AddTag, {"new_tags": "after"})]
    run = happen(steps, event={**ANA, "zero": 0}, mapping=BY_PHONE)
    entry = run.state, tagged()
    assert entry == (state, ["after"] if on_error == "continue" else [])
    if on_error == "stop":
        assert run.error == (
            "Add Tag: An attribute can't be filled in: divided_by: can't divide by 0"
        )


def test_a_turn_done_again_tags_once(happen, lost_turn):
    run = happen([(AddTag, {"new_tags": "vip"})], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state) == ([True], "done")
    assert (tagged(), Tag.objects.count(), Contact.objects.count()) == (["vip"], 1, 1)


def test_what_is_missing_is_a_problem():
    assert AddTag().problems() == ["Choose or type at least one tag."]
    assert AddTag(new_tags="vip").problems() == []


def test_tags_of_others_stay_theirs(happen):
    ContactFactory()
    happen([(AddTag, {"new_tags": "vip"})], event=ANA, mapping=BY_PHONE)
    assert ContactTag.objects.get().contact.phone == "+4915112345678"
