import pytest

from apps.actions.kinds.add_category import AddCategory
from apps.crm.models import Category, Contact, ContactCategory
from tests.factories import CategoryFactory, ContactFactory

pytestmark = pytest.mark.django_db

ANA = {"phone": "+4915112345678"}
BY_PHONE = {"phone": "{{ event.phone }}"}


def grouped():
    return sorted(ContactCategory.objects.values_list("category__name", flat=True))


def test_the_contact_is_put_into_picked_and_typed_categories(happen, told):
    vip = CategoryFactory(name="vip")
    columns = {
        "new_categories": "{{ event.plan }}, from shop ,",
        "rows": {"categories": [{"category": vip}]},
    }
    run = happen([(AddCategory, columns)], event={**ANA, "plan": "Gold"}, mapping=BY_PHONE)
    assert grouped() == ["Gold", "from shop", "vip"]
    assert set(ContactCategory.objects.values_list("cause", "cause_id")) == {("run", run.pk)}
    entry = told(run, "add_category")
    assert (entry.result, entry.note) == ("done", "Added to vip, Gold, from shop")
    assert entry.went_in["categories"] == ["vip", "Gold", "from shop"]


def test_a_category_that_the_contact_is_in_stays_once(happen, told):
    CategoryFactory(name="VIP")
    for _ in range(2):
        run = happen([(AddCategory, {"new_categories": "vip, Vip"})], event=ANA, mapping=BY_PHONE)
    assert grouped() == ["VIP"]
    assert Category.objects.count() == 1
    assert told(run, "add_category").note == "The contact was in VIP already"


def test_nothing_to_add_is_fine(happen, told):
    run = happen(
        [(AddCategory, {"new_categories": "{{ event.none }}"})], event=ANA, mapping=BY_PHONE
    )
    entry = told(run, "add_category")
    assert (entry.result, entry.note, entry.missing) == (
        "done",
        "No category to add to",
        ["event.none"],
    )
    assert not Category.objects.exists()


def test_without_a_contact_it_is_skipped(happen, told):
    run = happen([(AddCategory, {"new_categories": "vip"})])
    entry = told(run, "add_category")
    assert (entry.result, entry.note, run.state) == ("skipped", "No contact mapped", "done")
    assert not Category.objects.exists()


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_text_that_cannot_be_filled_in_fails_with_a_sentence(happen, told, on_error, state):
    columns = {"new_categories": "{{ 1 | divided_by: event.zero }}", "on_error": on_error}
    steps = [(AddCategory, columns), (AddCategory, {"new_categories": "after"})]
    run = happen(steps, event={**ANA, "zero": 0}, mapping=BY_PHONE)
    entry = run.state, grouped()
    assert entry == (state, ["after"] if on_error == "continue" else [])
    if on_error == "stop":
        assert run.error == (
            "Add Category: An attribute can't be filled in: divided_by: can't divide by 0"
        )


def test_a_turn_done_again_puts_it_there_once(happen, lost_turn):
    run = happen([(AddCategory, {"new_categories": "vip"})], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state) == ([True], "done")
    assert (grouped(), Category.objects.count(), Contact.objects.count()) == (["vip"], 1, 1)


def test_what_is_missing_is_a_problem():
    assert AddCategory().problems() == ["Choose or type at least one category."]
    assert AddCategory(new_categories="vip").problems() == []


def test_others_stay_where_they_are(happen):
    ContactFactory()
    happen([(AddCategory, {"new_categories": "vip"})], event=ANA, mapping=BY_PHONE)
    assert ContactCategory.objects.get().contact.phone == "+4915112345678"
