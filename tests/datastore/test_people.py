"""A contact's counters when it is merged with another, and when it is erased."""

import pytest

from apps.crm.erasing import delete_contact
from apps.crm.merging import merge, undo
from apps.crm.models import Contact
from apps.datastore import counters
from apps.datastore.models import CounterValue
from tests.factories import ContactFactory, CounterFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def visits(clock):
    return CounterFactory(name="Visits", scope="contact")


@pytest.fixture
def orders(clock):
    return CounterFactory(name="Orders", scope="contact")


@pytest.fixture
def two(visits, orders):
    """One with visits and orders that is merged into one with visits."""
    ana, anna = ContactFactory(), ContactFactory()
    counters.add(visits, 3, ana)
    counters.add(orders, 5, ana)
    counters.add(visits, 20, anna)
    return ana, anna


def stands():
    return set(CounterValue.objects.values_list("counter__name", "contact", "value"))


def test_the_survivors_value_stays_and_what_it_lacked_moves(two, visits, orders):
    ana, anna = two
    merge(ana.pk, anna.pk, "ben")
    assert counters.values_by_key(None, anna) == {"visits": 20, "orders": 5}


def test_undoing_gives_both_what_they_had(two):
    ana, anna = two
    before = stands()
    merged = merge(ana.pk, anna.pk, "ben")
    assert stands() != before
    assert undo(merged.pk, "ben") == []
    assert stands() == before


@pytest.mark.parametrize("change", [lambda *o: counters.add(o[0], 1, o[1]), counters.reset])
def test_what_was_counted_since_stays_and_is_told(two, orders, clock, change):
    ana, anna = two
    merged = merge(ana.pk, anna.pk, "ben")
    clock.tick(hours=1)
    change(orders, anna)
    since = counters.current(orders, anna)
    assert undo(merged.pk, "ben") == ['The counter "Orders" was changed since and stays as it is.']
    assert counters.current(orders, anna) == since
    assert counters.current(orders, ana) == 0


def test_a_run_that_still_has_the_merged_contact_counts_for_the_one_that_stayed(two, orders):
    ana, anna = two
    merge(ana.pk, anna.pk, "ben")
    assert counters.add(orders, 1, ana) == 6
    assert counters.current(orders, anna) == 6


def test_an_older_merge_that_knows_of_no_counters_is_undone(two):
    ana, anna = two
    merged = merge(ana.pk, anna.pk, "ben")
    del merged.moved["elsewhere"]
    merged.save()
    assert undo(merged.pk, "ben") == []


def test_who_is_erased_leaves_no_values_but_those_of_others(two, drain, visits):
    ana, anna = two
    other = ContactFactory()
    counters.add(visits, 1, other)
    account = CounterFactory()
    counters.add(account, 1)
    merge(ana.pk, anna.pk, "ben")
    delete_contact(anna)
    drain()
    assert list(Contact.everyone.all()) == [other]
    assert {(owner, value) for _, owner, value in stands()} == {(other.pk, 1), (None, 1)}
