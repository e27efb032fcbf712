import pytest

from apps.actions.kinds.add_category import AddCategory
from apps.actions.kinds.remove_category import RemoveCategory
from apps.crm.models import Category, ContactCategory
from apps.crm.services import add_categories
from apps.engine.models import Run
from tests.factories import CategoryFactory, ContactFactory, published

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}


@pytest.fixture
def ana():
    """A contact in the categories vip, Gold and buyer; somebody else is in all of them too."""
    categories = [CategoryFactory(name=name) for name in ("vip", "Gold", "buyer")]
    add_categories(ContactFactory(), categories)
    ana = ContactFactory(phone=PHONE)
    add_categories(ana, categories)
    return ana


def categories_of(contact):
    return sorted(contact.category_links.values_list("category__name", flat=True))


def test_the_contact_leaves_picked_and_typed_categories(happen, told, ana):
    vip = Category.objects.get(name="vip")
    columns = {"category_names": "{{ event.plan }}, ,", "rows": {"categories": [{"category": vip}]}}
    run = happen([(RemoveCategory, columns)], event={**ANA, "plan": "GOLD"}, mapping=BY_PHONE)
    assert categories_of(ana) == ["buyer"]
    entry = told(run, "remove_category")
    assert (entry.result, entry.note) == ("done", "Removed from vip, Gold")
    assert Category.objects.count() == 3
    assert ContactCategory.objects.exclude(contact=ana).count() == 3


@pytest.mark.parametrize(
    ("names", "note"),
    [
        ("Other", "The contact was not in other"),
        ("never made", "No category to remove from"),
        ("{{ event.none }}", "No category to remove from"),
    ],
)
def test_a_category_that_the_contact_is_not_in_is_nothing_to_do(happen, told, ana, names, note):
    CategoryFactory(name="other")
    run = happen([(RemoveCategory, {"category_names": names})], event=ANA, mapping=BY_PHONE)
    entry = told(run, "remove_category")
    assert (entry.result, entry.note) == ("done", note)
    assert categories_of(ana) == ["Gold", "buyer", "vip"]
    assert Category.objects.count() == 4


def test_without_a_contact_it_is_skipped(happen, told):
    run = happen([(RemoveCategory, {"category_names": "vip"})])
    entry = told(run, "remove_category")
    assert (entry.result, entry.note, run.state) == ("skipped", "No contact mapped", "done")


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_text_that_cannot_be_filled_in_fails_with_a_sentence(happen, told, ana, on_error, state):
    columns = {"category_names": "{{ 1 | divided_by: event.zero }}", "on_error": on_error}
    steps = [(RemoveCategory, columns), (RemoveCategory, {"category_names": "vip"})]
    run = happen(steps, event={**ANA, "zero": 0}, mapping=BY_PHONE)
    assert run.state == state
    assert ("vip" in categories_of(ana)) == (on_error == "stop")


def test_a_picked_category_that_is_gone_fails(post, drain, clock, told, ana):
    lost = CategoryFactory(name="lost")
    columns = {"category_names": "vip", "rows": {"categories": [{"category": lost}]}}
    connector = published([(RemoveCategory, columns)], mapping=BY_PHONE)
    RemoveCategory.objects.all().delete()  # from the draft, which frees the tag
    lost.delete()
    post(connector, ANA)
    drain()
    entry = told(Run.objects.get(), "remove_category")
    assert (entry.result, entry.note) == ("failed", 'Category "lost" was deleted')
    assert "vip" in categories_of(ana)


def test_a_turn_done_again_ends_the_same(happen, told, lost_turn, ana):
    steps = [
        (AddCategory, {"new_categories": "new"}),
        (RemoveCategory, {"category_names": "vip, new"}),
    ]
    run = happen(steps, event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state) == ([True], "done")
    assert categories_of(ana) == ["Gold", "buyer"]
    assert told(run, "remove_category").note == "Removed from new, vip"


def test_what_is_missing_is_a_problem():
    assert RemoveCategory().problems() == ["Choose or type at least one category."]
    assert RemoveCategory(category_names="vip").problems() == []
