"""Several workers write about the same people at once, each on a connection of its own: nothing is
lost, nobody is doubled, and no deadlock stands."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, transaction

from apps.crm import attributes, services
from apps.crm.merging import NotMergeable, merge, undo
from apps.crm.models import AttributeValue, Contact, ContactTag, Note, Tag
from apps.crm.services import Identity
from tests.factories import AttributeFactory, ContactFactory
from tests.locks import until_locks_are_waited_for

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

WORKERS = 8


@pytest.fixture(autouse=True)
def _only_postgresql(is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has one writer")


def at_once(work, items):
    """What `work` gives for each item; as the engine does, work whose transaction was the victim
    of a deadlock is done again."""

    def patiently(item):
        try:
            for _ in range(10):
                try:
                    with transaction.atomic():
                        return work(item)
                except OperationalError as error:
                    if "deadlock" not in str(error):
                        raise
            raise AssertionError("A deadlock stands")
        finally:
            connection.close()

    with ThreadPoolExecutor(WORKERS) as workers:
        return list(workers.map(patiently, items))


def test_tags_made_and_put_on_one_contact():
    ana = ContactFactory()
    added = at_once(
        lambda n: services.add_tags(ana, [services.tag_named(f"Tag {n % 100}")]), range(200)
    )
    assert sum(added) == ContactTag.objects.count() == Tag.objects.count() == 100


def test_several_tags_in_any_order():
    ana = ContactFactory()

    def add(number):
        names = [f"Tag {(number * 7 + place * 3) % 20}" for place in range(5)]
        return services.add_tags(ana, [services.tag_named(name) for name in names])

    assert sum(at_once(add, range(60))) == ContactTag.objects.count() == 20


def test_attributes_of_one_contact():
    ana = ContactFactory()
    made = [AttributeFactory(key=f"a{number}") for number in range(20)]
    at_once(lambda n: attributes.set_attribute(ana, made[n % 20], f"value {n // 20}"), range(200))
    assert AttributeValue.objects.count() == 20
    assert {row.text for row in AttributeValue.objects.all()} <= {f"value {n}" for n in range(10)}


def test_both_spellings_of_a_number_at_the_same_moment():
    def identify(number):
        person, spelling = divmod(number, 2)
        phone = f"+55119{87650000 + person}" if spelling else f"+5511{87650000 + person}"
        contact, created = services.identify(Identity(phone, ""), {"name": f"Person {person}"})
        return person, contact.pk, created

    seen = at_once(identify, [*range(200), *range(199, -1, -1)])
    assert Contact.objects.count() == sum(created for *_, created in seen) == 100
    assert len({(person, pk) for person, pk, _ in seen}) == 100


def test_writing_about_somebody_who_is_merged_away_and_back():
    ana, anna = ContactFactory(), ContactFactory()

    def work(number):
        if number % 40 == 20:
            made = merge(ana.pk, anna.pk, "ben")
            if number % 80 == 20:
                undo(made.pk, "ben")
            return
        services.add_tags(ana, [services.tag_named(f"Tag {number}")])
        services.add_note(ana, f"Note {number}", "ben")

    at_once(work, range(80))
    ana.refresh_from_db()
    assert ana.merged_into == anna
    assert ContactTag.objects.filter(contact=anna).count() == 78
    assert Note.objects.filter(contact=anna).count() == 78


def test_two_who_merge_the_same_pair_the_other_way_round_do_not_lock_each_other_out():
    """Each locks the two in the order of their ids: one merges, the other is told."""
    pair = ContactFactory(), ContactFactory()
    ways = [(one.pk, other.pk) for one, other in (pair, pair[::-1])]

    def merge_them(way):
        try:
            with transaction.atomic():
                merge(*way, "ben")
            return "merged"
        except NotMergeable:
            return "told"
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as workers:
        with transaction.atomic():
            # Both come to the first of the two, before either has both.
            Contact.objects.select_for_update().get(pk=min(ways[0]))
            both = [workers.submit(merge_them, way) for way in ways]
            until_locks_are_waited_for(2)
        assert sorted(one.result(30) for one in both) == ["merged", "told"]
    assert Contact.objects.count() == Contact.everyone.exclude(merged_into=None).count() == 1
