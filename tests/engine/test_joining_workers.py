"""Merges in the midst of turns, each on a connection of its own: the order holds, nobody stays
held, and no page breaks."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal

import pytest
from django.db import connection, transaction

from apps.core.patience import Collided, patiently
from apps.crm import merging
from apps.crm.merging import NotMergeable, merge, undo
from apps.crm.models import Contact, Merge
from apps.engine import again, claims, delays, order, turn
from apps.engine.models import Delay, Run
from tests.engine.ordered import A_DAY, ANA, BEN, TAG, acted, in_order
from tests.factories import ContactFactory

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _only_postgresql(is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has one writer")


def elsewhere(work):
    """Do it on a connection of its own and wait for it."""

    def whole():
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        return other.submit(whole).result(30)


@pytest.fixture
def people():
    return ContactFactory(phone=ANA), ContactFactory(phone=BEN)


@pytest.mark.parametrize("further", [False, True])
def test_who_mapped_the_one_that_went_a_moment_ago_ends_in_the_line_of_who_stays(
    people, send, clock, monkeypatch, further
):
    """The merge is committed after the field mapping has found Ben and before its turn is."""
    ana, ben = people
    last = ContactFactory(phone="+4915100000003")
    send(in_order(TAG), BEN)
    real = order.Lines.write

    def write_after_the_merge(lines):
        elsewhere(lambda: merge(ben.pk, ana.pk, "olga"))
        if further:
            elsewhere(lambda: merge(ana.pk, last.pk, "olga"))
        real(lines)

    with monkeypatch.context() as slow:
        slow.setattr(order.Lines, "write", write_after_the_merge)
        turn.work_off(claims.claim_batch(1))
    assert Run.objects.get().line == (last if further else ana).pk


def test_a_merge_waits_for_a_run_that_is_just_entering_the_line(people, send, clock, monkeypatch):
    """The other way round: the turn has entered the line, and is not committed yet."""
    ana, ben = people
    send(in_order(TAG), BEN)
    entered, real = Signal(), order.Lines.write
    with ThreadPoolExecutor(1) as other:

        def write_and_let_the_merge_begin(lines):
            real(lines)
            entered.set()
            with pytest.raises(TimeoutError):
                under_way[0].result(0.3)

        def merge_then():
            try:
                entered.wait(10)
                return patiently(lambda: merge(ben.pk, ana.pk, "olga"))
            finally:
                connection.close()

        under_way = [other.submit(merge_then)]
        with monkeypatch.context() as slow:
            slow.setattr(order.Lines, "write", write_and_let_the_merge_begin)
            turn.work_off(claims.claim_batch(1))
        under_way[0].result(10)
    assert Run.objects.get().line == ana.pk


def test_a_run_that_is_opened_again_while_its_contact_is_merged_joins_the_line(
    people, send, drain, clock, monkeypatch
):
    ana, ben = people
    (run,) = send(in_order(TAG), BEN)
    drain()
    run.refresh_from_db()
    real = again.stand

    def stand_after_the_merge(*args):
        elsewhere(lambda: merge(ben.pk, ana.pk, "olga"))
        real(*args)

    monkeypatch.setattr(again, "stand", stand_after_the_merge)
    place = next(p for p in again.places(run.revision_id) if p.position == 0)
    again.start(run, place, "ana")
    run.refresh_from_db()
    assert (run.state, run.line) == ("due", ana.pk)


# --- many at once


def work(stop):
    try:
        while not stop.is_set():
            delays.wake()
            batch = claims.claim_batch(random.randint(1, 8))
            if batch:
                turn.work_off(batch)
            else:
                stop.wait(0.005)
    finally:
        connection.close()


def merge_some(number, undoing, until):
    """Merge any two, and undo the last merge now and then."""
    rnd = random.Random(number)
    try:
        for _ in range(25):
            alive = list(Contact.objects.values_list("pk", flat=True))
            last = Merge.objects.filter(undone_at=None).order_by("-pk").first()
            try:
                if len(alive) > 1 and (rnd.random() < 0.6 or not undoing):
                    loser, survivor = rnd.sample(alive, 2)
                    patiently(lambda pair=(loser, survivor): merge(*pair, "olga"))
                elif last and undoing:
                    patiently(lambda pk=last.pk: undo(pk, "olga"))
            except NotMergeable:
                pass
            until.wait(0.02)
    finally:
        connection.close()


@pytest.mark.parametrize("undoing", [False, True])
def test_merges_in_the_midst_of_turns_leave_nobody_held_and_each_line_in_order(
    send, drain, clock, caplog, undoing
):
    phones = [f"+4915100000{number:03}" for number in range(6)]
    runs = send(in_order(TAG, A_DAY, TAG), *phones * 8)
    stop = Signal()
    with ThreadPoolExecutor(4) as workers:
        working = [workers.submit(work, stop) for _ in range(2)]
        merges = [workers.submit(merge_some, number, undoing, stop) for number in range(2)]
        for done in merges:
            done.result(60)
        stop.set()
        for done in working:
            done.result(60)
    assert Merge.objects.exists()
    for _ in range(60):
        if not Run.objects.filter(state__in=Run.OPEN).exists():
            break
        drain()
        clock.tick(days=1)
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}
    assert not Delay.objects.filter(state="waiting").exists()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    story = acted()
    assert Counter(story) == {run.pk: 3 for run in runs}
    if undoing:
        return  # Then somebody's runs may well stand in two lines.
    for number, _ in enumerate(phones):
        own = [run.pk for run in runs[number :: len(phones)]]
        assert [pk for pk in story if pk in own] == [pk for pk in own for _ in range(3)]


@pytest.fixture
def in_hand(people, send, drain, clock):
    """Ben's run, asleep, in the hands of a turn until `let_go` is set."""
    (run,) = send(in_order(A_DAY), BEN)
    drain()
    taken, let_go = Signal(), Signal()

    def hold():
        try:
            with transaction.atomic():
                Run.objects.select_for_update().get(pk=run.pk)
                taken.set()
                let_go.wait(10)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        held = other.submit(hold)
        taken.wait(10)
        yield run, let_go
        let_go.set()
        held.result(10)


def test_a_merge_waits_for_the_turns_that_are_at_work_on_the_line(people, in_hand):
    (ana, ben), (run, let_go) = people, in_hand
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(lambda: (merge(ben.pk, ana.pk, "olga"), connection.close()))
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        # No contact is locked meanwhile: the turn may write about Ben.
        with transaction.atomic():
            Contact.objects.select_for_update(nowait=True).get(pk=ben.pk)
        let_go.set()
        waiting.result(10)
    run.refresh_from_db()
    assert run.line == ana.pk


def test_a_merge_begins_anew_when_a_run_came_into_the_line_behind_its_back(
    people, in_hand, monkeypatch
):
    (ana, ben), (run, _) = people, in_hand
    monkeypatch.setattr(merging, "_holds", [])
    with pytest.raises(Collided):
        merge(ben.pk, ana.pk, "olga")
    assert not Merge.objects.exists()
    run.refresh_from_db()
    assert run.line == ben.pk
