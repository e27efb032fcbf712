"""Long jobs: slices are done once each, whatever comes between them, and hold up nothing else."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from psycopg import errors

from apps.actions.kinds.stop import StopRun
from apps.core.models import Notice
from apps.engine import jobs, leases
from apps.engine.agenda import look
from apps.engine.models import Run
from apps.engine.rounds import round_of_lanes
from apps.engine.sweep import release_leases_of_the_dead
from tests.engine.test_plans import assert_only_by_index, plans_of, series
from tests.factories import published
from tests.long_jobs.models import Counting, Written
from tests.owners import of_a_dead_process

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def one_slice_a_turn(clock, monkeypatch):
    monkeypatch.setattr(jobs, "SECONDS", 0)


def counting(total=30, **columns):
    job = Counting(total=total, **columns)
    job.begin()
    return job


def numbers(job):
    return list(Written.objects.filter(job=job.pk).order_by("pk").values_list("number", flat=True))


def test_a_job_is_done_in_slices(clock):
    job = counting()
    for done in (10, 20):
        assert jobs.turn() == 1
        job.refresh_from_db()
        assert (job.state, job.done, job.ended_at) == ("waiting", done, None)
    jobs.turn()
    job.refresh_from_db()
    assert (job.state, job.done, job.ended_at) == ("done", 30, clock.now)
    assert numbers(job) == list(range(1, 31))
    assert jobs.turn() == 0


def test_small_slices_share_a_turn(monkeypatch):
    monkeypatch.setattr(jobs, "SECONDS", 60)
    job = counting()
    assert jobs.turn() == 1
    assert numbers(job) == list(range(1, 31))


def test_two_jobs_take_turns(clock):
    one, other = counting(), counting()
    for _ in range(2):
        clock.tick(seconds=1)
        jobs.turn()
    assert len(numbers(one)) == len(numbers(other)) == 10


def test_a_slice_whose_worker_died_is_done_by_the_next_one():
    """Claimed, and the slice rolled back with everything: what a kill leaves behind."""
    job = counting()
    jobs.turn()
    claimed = Counting.claim_next()
    assert (claimed.state, claimed.tries) == ("working", 1)
    assert jobs.turn() == 0  # nobody else's meanwhile
    Counting.objects.update(lease_owner=of_a_dead_process())
    assert release_leases_of_the_dead() == 1
    while jobs.turn():
        pass
    assert numbers(job) == list(range(1, 31))


def test_who_lost_the_lease_does_nothing(clock):
    job = counting()
    slow = Counting.claim_next()
    clock.tick(seconds=61)
    assert leases.expire() == 1
    quick = Counting.claim_next()
    jobs.work_on(slow)
    assert numbers(job) == []
    jobs.work_on(quick)
    jobs.work_on(quick)
    assert numbers(job) == list(range(1, 11))


def test_cancelled_between_two_slices_and_resumed():
    job = counting()
    jobs.turn()
    assert Counting.cancel(job.pk)
    assert not Counting.cancel(job.pk)
    assert jobs.turn() == 0
    job.refresh_from_db()
    assert (job.state, job.done) == ("cancelled", 10)
    assert job.ended_at is not None
    assert Counting.resume(job.pk)
    assert not Counting.resume(job.pk)
    while jobs.turn():
        pass
    job.refresh_from_db()
    assert (job.state, numbers(job)) == ("done", list(range(1, 31)))


def test_cancelling_and_resuming_one_leaves_the_others_as_they_are(clock):
    one, other = counting(), counting()
    assert Counting.cancel(one.pk)
    other.refresh_from_db()
    assert (other.state, other.cancel_asked, other.ended_at) == ("waiting", False, None)
    assert Counting.cancel(other.pk)
    assert Counting.resume(one.pk)
    other.refresh_from_db()
    assert (other.state, other.cancel_asked, other.ended_at) == ("cancelled", True, clock.now)


def test_cancelled_while_a_worker_has_it():
    job = counting()
    claimed = Counting.claim_next()
    assert Counting.cancel(job.pk)
    job.refresh_from_db()
    assert job.state == "working"
    jobs.work_on(claimed)
    job.refresh_from_db()
    assert (job.state, job.lease_until, numbers(job)) == ("cancelled", None, [])


def test_wrong_data_ends_the_job_with_its_sentence():
    job = counting(trouble_at=15, trouble="data")
    while jobs.turn():
        pass
    job.refresh_from_db()
    assert (job.state, job.note, job.done) == ("failed", "Number 15 can't be written.", 10)
    assert numbers(job) == list(range(1, 11))  # nothing half done
    Counting.objects.update(trouble="")
    assert Counting.resume(job.pk)
    while jobs.turn():
        pass
    assert numbers(job) == list(range(1, 31))


def test_trouble_that_passes_is_waited_for(clock):
    job = counting(trouble_at=15, trouble="once")
    jobs.turn()
    assert jobs.turn() == 1
    assert jobs.turn() == 0
    assert look().earliest == clock.now + timedelta(seconds=2)
    clock.tick(seconds=2)
    while jobs.turn():
        pass
    assert numbers(job) == list(range(1, 31))


def test_trouble_that_stays_ends_the_job(clock):
    job = counting(trouble_at=15, trouble="always")
    for _ in range(20):
        jobs.turn()
        clock.tick(minutes=1)
    job.refresh_from_db()
    assert (job.state, job.done) == ("failed", 10)
    assert job.note == "It was given up after 5 tries: the line was cut."


def test_it_waits_twice_as_long_after_each_try(clock):
    counting(trouble="always", trouble_at=5)
    waits = []
    for _ in range(4):
        jobs.turn()
        waits.append((look().earliest - clock.now).total_seconds())
        clock.tick(minutes=1)
    assert waits == [2, 4, 8, 16]


def test_what_was_prepared_is_there_in_each_slice(clock, monkeypatch):
    seen = []
    monkeypatch.setattr(Counting, "prepare", lambda job: "ready")
    slice_ = Counting.slice
    monkeypatch.setattr(Counting, "slice", lambda job: seen.append(job.prepared) or slice_(job))
    counting(total=20)
    jobs.turn()
    jobs.turn()
    assert seen == ["ready", "ready"]


@pytest.mark.parametrize(
    "error",
    [
        errors.DiskFull("could not extend file: No space left on device"),
        errors.LockNotAvailable("canceling statement due to lock timeout"),
    ],
    ids=["full", "locked"],
)
def test_what_the_installation_refuses_ends_no_job(clock, monkeypatch, error):
    job = counting()
    with monkeypatch.context() as patch:
        patch.setattr(Counting, "slice", lambda job: (_ for _ in ()).throw(error))
        for _ in range(20):
            jobs.turn()
            clock.tick(minutes=1)
    job.refresh_from_db()
    assert (job.state, job.tries) == ("waiting", 0)
    assert Notice.objects.exists()
    while jobs.turn():
        pass
    assert numbers(job) == list(range(1, 31))


def test_a_slice_that_met_somebody_elses_is_done_again_and_no_lane_rests(clock):
    job = counting(trouble_at=15, trouble="deadlock")
    round_of_lanes({"jobs"})
    for _ in range(8):
        clock.tick(minutes=1)
        assert round_of_lanes({"jobs"}) == 1
    job.refresh_from_db()
    assert (job.state, job.tries) == ("waiting", 0)
    assert not Notice.objects.exists()


def test_what_a_living_worker_lost_counts_for_nothing():
    job = counting()
    Counting.claim_next()
    assert jobs.recover() == 1
    job.refresh_from_db()
    assert (job.state, job.tries, job.lease_epoch) == ("waiting", 0, 2)


def test_a_job_that_kills_its_workers_is_given_up(clock):
    job = counting()
    for _ in range(5):
        assert Counting.claim_next()
        clock.tick(seconds=61)
        leases.expire()
    jobs.turn()
    job.refresh_from_db()
    assert (job.state, numbers(job)) == ("failed", [])
    assert job.note == "It was given up: it broke off 5 times at this place."


def test_a_slice_that_somebody_was_faster_at_is_done_again_at_once():
    job = counting(trouble_at=15, trouble="again")
    while jobs.turn():
        pass
    assert numbers(job) == list(range(1, 31))


def test_runs_and_jobs_take_turns(post, clock):
    job = counting(total=1000)
    connector = published([(StopRun, {})])
    for _ in range(3):
        post(connector, {})
    round_of_lanes(look().due())
    assert set(Run.objects.values_list("state", flat=True)) == {"stopped"}
    assert len(numbers(job)) == 10


def test_a_loop_without_jobs_asks_for_none():
    with CaptureQueriesContext(connection) as captured:
        round_of_lanes(look().due())
    assert len(captured) == 1


def test_the_look_reads_the_start_of_an_index(clock):
    at = "now()" if connection.vendor == "postgresql" else "'2020-01-01 00:00:00'"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO long_jobs_counting (state, wake_at, lease_owner, lease_epoch, done, note,"
            " tries, cancel_asked, created_at, cause, step, trouble_at, trouble)"
            f" SELECT 'done', {at}, '', 0, 0, '', 0, false, {at}, '', 1, 0, ''"
            f" FROM {series(30_000)}"
        )
        cursor.execute("ANALYZE long_jobs_counting")
    counting()
    for read in (jobs.jobs.next_kind, look):
        plan = plans_of(read)
        assert_only_by_index(plan, "long_jobs_counting")
        assert "long_jobs_counting_due" in plan


def test_statements_of_a_slice_are_planned_for_the_rows_that_are_there(monkeypatch, is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite keeps no plans.")
    told = []

    def ask(job):
        with connection.cursor() as cursor:
            cursor.execute("SHOW plan_cache_mode")
            told.append(cursor.fetchone()[0])

    monkeypatch.setattr(Counting, "make_trouble", ask)
    counting(total=10, trouble_at=5)
    jobs.turn()
    assert told == ["force_custom_plan"]
