import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.remove_tag import RemoveTag
from apps.crm.models import ContactTag, Tag
from apps.crm.services import add_tags
from apps.engine.models import Run
from tests.factories import ContactFactory, TagFactory, published

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}


@pytest.fixture
def ana():
    """A contact with the tags vip, Gold and buyer; somebody else has all of them too."""
    tags = [TagFactory(name=name) for name in ("vip", "Gold", "buyer")]
    add_tags(ContactFactory(), tags)
    ana = ContactFactory(phone=PHONE)
    add_tags(ana, tags)
    return ana


def tags_of(contact):
    return sorted(contact.tag_links.values_list("tag__name", flat=True))


def test_picked_and_typed_tags_are_taken_off_and_stay_tags(happen, told, ana):
    vip = Tag.objects.get(name="vip")
    columns = {"tag_names": "{{ event.plan }}, ,", "rows": {"tags": [{"tag": vip}]}}
    run = happen([(RemoveTag, columns)], event={**ANA, "plan": "GOLD"}, mapping=BY_PHONE)
    assert tags_of(ana) == ["buyer"]
    entry = told(run, "remove_tag")
    assert (entry.result, entry.note) == ("done", "Removed vip, Gold")
    assert Tag.objects.count() == 3
    assert ContactTag.objects.exclude(contact=ana).count() == 3


@pytest.mark.parametrize(
    ("names", "note"),
    [
        ("Other", "The contact did not have other"),
        ("never made", "No tag to remove"),
        ("{{ event.none }}", "No tag to remove"),
    ],
)
def test_a_tag_that_the_contact_lacks_is_nothing_to_do(happen, told, ana, names, note):
    TagFactory(name="other")
    run = happen([(RemoveTag, {"tag_names": names})], event=ANA, mapping=BY_PHONE)
    entry = told(run, "remove_tag")
    assert (entry.result, entry.note) == ("done", note)
    assert tags_of(ana) == ["Gold", "buyer", "vip"]
    assert Tag.objects.count() == 4


def test_without_a_contact_it_is_skipped(happen, told):
    run = happen([(RemoveTag, {"tag_names": "vip"})])
    entry = told(run, "remove_tag")
    assert (entry.result, entry.note, run.state) == ("skipped", "No contact mapped", "done")


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_text_that_cannot_be_filled_in_fails_with_a_sentence(happen, told, ana, on_error, state):
    columns = {"tag_names": "{{ 1 | divided_by: event.zero }}", "on_error": on_error}
    steps = [(RemoveTag, columns), (RemoveTag, {"tag_names": "vip"})]
    run = happen(steps, event={**ANA, "zero": 0}, mapping=BY_PHONE)
    assert run.state == state
    assert ("vip" in tags_of(ana)) == (on_error == "stop")


def test_a_picked_tag_that_is_gone_fails(post, drain, clock, told, ana):
    lost = TagFactory(name="lost")
    columns = {"tag_names": "vip", "rows": {"tags": [{"tag": lost}]}}
    connector = published([(RemoveTag, columns)], mapping=BY_PHONE)
    RemoveTag.objects.all().delete()  # from the draft, which frees the tag
    lost.delete()
    post(connector, ANA)
    drain()
    entry = told(Run.objects.get(), "remove_tag")
    assert (entry.result, entry.note) == ("failed", 'Tag "lost" was deleted')
    assert "vip" in tags_of(ana)


def test_a_turn_done_again_ends_the_same(happen, told, lost_turn, ana):
    steps = [(AddTag, {"new_tags": "new"}), (RemoveTag, {"tag_names": "vip, new"})]
    run = happen(steps, event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state) == ([True], "done")
    assert tags_of(ana) == ["Gold", "buyer"]
    assert told(run, "remove_tag").note == "Removed new, vip"


def test_what_is_missing_is_a_problem():
    assert RemoveTag().problems() == ["Choose or type at least one tag."]
    assert RemoveTag(tag_names="vip").problems() == []
