"""Somebody is erased while workers are in the midst of writing about her, each on a connection of
its own."""

from threading import Event as Signal

import pytest
from django.db import connection, transaction

from apps.core.patience import patiently
from apps.core.writers import writers
from apps.crm import erasing as crm_erasing
from apps.crm import services
from apps.crm.erasing import delete_contact
from apps.crm.merging import NotMergeable, merge
from apps.crm.models import Contact, Erasure
from apps.engine import claims, jobs, order, turn
from apps.engine.models import Run
from tests.engine.ordered import TAG
from tests.engine.test_erasing_windows import ANA, BY_PHONE, OTHER, PHONE, jobs_turn, mentions, note
from tests.factories import ContactFactory, published
from tests.locks import Other, until_locks_are_waited_for

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _only_postgresql(is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has one writer")


@pytest.fixture
def in_hand(post, monkeypatch):
    """Take a turn that stops before it writes its runs: (there, go on, the turn's thread)."""
    there, go_on, real = Signal(), Signal(), order.Lines.write

    def stop_first(*args):
        there.set()
        go_on.wait(20)
        real(*args)

    def start():
        with monkeypatch.context() as stopping:
            stopping.setattr(order.Lines, "write", stop_first)
            other = Other(lambda: turn.work_off(claims.claim_batch(1)))
            assert there.wait(20)
        return go_on, other

    return start


def everything_is_gone(clock):
    clock.tick(seconds=2)
    jobs_turn()
    assert Erasure.objects.get().state == "done"
    assert mentions() == []


def test_a_turn_that_had_found_her_before_she_was_deleted(post, clock, drain, in_hand):
    ContactFactory(phone=PHONE, name="Secretive")
    post(published([note()], mapping=BY_PHONE), ANA)
    go_on, other = in_hand()
    delete_contact(Contact.objects.get(), with_history=True)
    jobs_turn()
    job = Erasure.objects.get()
    # Nothing of the run can be seen yet.
    assert (job.state, len(job.awaits)) == ("waiting", 1)
    assert Contact.everyone.exists()
    go_on.set()
    other.result()
    assert Run.objects.get().contact_id == Contact.everyone.get().pk
    everything_is_gone(clock)
    drain()
    assert mentions() == []


def test_a_turn_that_is_at_work_on_a_run_of_hers(post, clock, drain, in_hand):
    connector = published([note(), TAG], mapping=BY_PHONE, in_order=True)
    post(connector, ANA)
    turn.work_off(claims.claim_batch(1))
    assert Run.objects.get().contact is not None
    go_on, other = in_hand()
    delete_contact(Contact.objects.get(), with_history=True)
    jobs_turn()
    assert Erasure.objects.get().state == "waiting"
    assert Run.objects.get().state == "leased"
    go_on.set()
    other.result()
    everything_is_gone(clock)


def test_transactions_that_began_later_are_not_waited_for(clock):
    delete_contact(ContactFactory(phone=PHONE), with_history=True)
    held, release = Signal(), Signal()

    def write_for_long():
        with transaction.atomic():
            ContactFactory(phone=OTHER)
            held.set()
            release.wait(20)

    # The first slice comes before it, the rest while it goes on.
    assert jobs.turn() == 1
    assert Erasure.objects.get().awaits == []
    other = Other(write_for_long)
    held.wait(20)
    assert len(writers()) == 1
    jobs_turn()
    assert Erasure.objects.get().state == "done"
    release.set()
    other.result()
    assert writers() == []


def test_reading_is_not_writing():
    there, release = Signal(), Signal()

    def read_for_long():
        with transaction.atomic():
            Contact.objects.exists()
            there.set()
            release.wait(20)

    other = Other(read_for_long)
    there.wait(20)
    assert writers() == []
    release.set()
    other.result()


def test_who_is_merged_into_her_in_that_moment_goes_too_or_stays(monkeypatch, clock):
    ana, anna = ContactFactory(phone=PHONE), ContactFactory(phone=OTHER)
    services.add_note(anna, "Secretive", "ben")
    real = crm_erasing._locked
    merging = []

    def locked(contact):
        found = real(contact)
        merging.append(Other(lambda: patiently(lambda: merge(anna.pk, ana.pk, "olga"))))
        until_locks_are_waited_for(1)
        return found

    monkeypatch.setattr(crm_erasing, "_locked", locked)
    with transaction.atomic():
        assert delete_contact(ana, with_history=True)
    with pytest.raises(NotMergeable):
        merging[0].result()
    jobs_turn()
    assert list(Contact.everyone.values_list("pk", flat=True)) == [anna.pk]
    assert connection.in_atomic_block is False
