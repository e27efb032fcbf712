"""Clocks are put on and back by an hour while work waits and is under way."""

from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection

from apps.actions.http.request import SECONDS
from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.stop import StopRun
from apps.core.http.outgoing import outgoing
from apps.core.models import Installation
from apps.engine import clock_steps, leases, upkeep
from apps.engine.agenda import look
from apps.engine.claims import claim_batch
from apps.engine.dialling import abandon_stale
from apps.engine.models import Attempt, Call, Delay, Run
from apps.engine.turn import take_turn
from apps.messaging import delivery, outbox
from tests.factories import ChannelFactory, published
from tests.long_jobs.models import Counting
from tests.steps import BOTH_WAYS, HOUR, MINUTE, close, left

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outside")]


@pytest.fixture
def asking(server):
    """A connector that asks the server, with a retry after ten minutes."""
    retry = {"on_error": "retry", "retry_times": 2, "retry_wait": 600}
    return published(
        [(HttpApi, {"label": "Ask", "method": "GET", "url": f"{server.url}/x", **retry})]
    )


# --- the host's clock -----------------------------------------------------------------------------


@BOTH_WAYS
def test_a_step_of_a_hosts_clock_changes_nothing(post, drain, clocks, step, is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has no clock but the host's")
    connector = published([(StopRun, {})])
    post(connector, {})
    (run,) = claim_batch()
    clocks.host = step
    post(connector, {})
    later = Run.objects.get(state="due")
    assert close(later.wake_at, clocks.shown)
    assert close(Run.objects.get(pk=run.pk).lease_until - clocks.shown, MINUTE)
    assert leases.expire() == 0
    drain()
    later.refresh_from_db()
    assert later.state == "stopped"
    assert close(later.finished_at, clocks.shown)
    assert not clock_steps.seen(0.0)


# --- leases ---------------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_run_whose_call_is_under_way_stays_its_workers(post, drain, clocks, server, asking, step):
    answers = Event()
    server.answer = lambda asked: answers.wait(20) and (200, {}, b"{}")
    post(asking, {})
    take_turn()
    while not server.asked:
        outgoing().wait(0.1)
    run = Run.objects.get()
    before = run.lease_until - clocks.shown
    clocks.step(step)
    look()
    run.refresh_from_db()
    assert close(run.lease_until - clocks.shown, before)
    abandon_stale()
    assert Call.objects.get().state == "sending"
    clocks.watch(seconds=100)
    answers.set()
    drain()
    assert Attempt.objects.get().result == "done"
    assert Run.objects.get().state == "done"


@BOTH_WAYS
def test_messages_and_jobs_stay_their_workers_too(clocks, step):
    outbox.queue(ChannelFactory(), ["+4915112345678"], "Hi", key="run:1:1:x")
    (message,) = delivery.mark_sending(delivery.claim())
    job = Counting(total=30)
    job.begin()
    Counting.claim_next()
    clocks.step(step)
    look()
    for row in (message, job):
        row.refresh_from_db()
        assert close(row.lease_until - clocks.shown, MINUTE)


@BOTH_WAYS
def test_each_process_carries_on_its_own_leases_however_many_see_the_step(post, clocks, step):
    connector = published([(StopRun, {})])
    for name in ("one", "other"):
        post(connector, {})
        with clocks.process(name):
            look()
            assert len(claim_batch()) == 1
    clocks.step(step)
    with clocks.process("one"):
        look()
        post(connector, {})
        assert len(claim_batch()) == 1
    with clocks.process("other"):
        assert len(claim_batch()) == 0
        look()
    look()
    ends = [run.lease_until - clocks.shown for run in Run.objects.order_by("pk")]
    assert [close(end, MINUTE) for end in ends] == [True, True, True]


def test_who_has_not_watched_for_a_minute_ends_no_lease(post, clocks):
    post(published([(StopRun, {})]), {})
    claim_batch()
    Run.objects.update(lease_owner="elsewhere")
    clocks.watch(seconds=30)
    clocks.step(HOUR)
    clocks.watch(seconds=59)
    assert Run.objects.get().state == "leased"
    clocks.watch(seconds=20)
    assert Run.objects.get().state == "due"


def test_an_outage_begins_the_watch_anew(post, clocks, monkeypatch):
    clocks.watch(seconds=70)
    assert clock_steps.witness.even_for >= MINUTE
    clocks.tick(seconds=15)  # nothing was seen
    look()
    assert not clock_steps.witness.even_for
    clocks.watch(seconds=70)
    monkeypatch.setattr(clock_steps.witness, "_connection", "one that was lost")
    look()
    assert not clock_steps.witness.even_for


def test_leases_of_a_lost_host_end_within_a_minute_of_their_time(post, clocks):
    post(published([(StopRun, {})]), {})
    clocks.watch(seconds=61)
    claim_batch()
    Run.objects.update(lease_owner="elsewhere")
    clocks.watch(seconds=58)
    assert Run.objects.get().state == "leased"
    clocks.watch(seconds=20)
    assert Run.objects.get().state == "due"


def test_what_ran_out_while_all_were_down_is_free_after_a_minute(post, clocks):
    post(published([(StopRun, {})]), {})
    claim_batch()
    clocks.tick(hours=3)
    clocks.restart()
    look()
    upkeep.when_due()
    assert Run.objects.get().state == "leased"
    clocks.watch(seconds=76)
    assert Run.objects.get().state == "due"


def test_a_lease_that_nobody_could_have_is_cut_down(post, clocks):
    """All were stopped when the clock was put back, so nobody saw it."""
    post(published([(StopRun, {})]), {})
    claim_batch()
    Run.objects.update(lease_owner="elsewhere")
    clocks.step(-HOUR)
    clocks.restart()
    look()
    upkeep.when_due()
    assert close(Run.objects.get().lease_until - clocks.shown, MINUTE)
    assert timedelta(seconds=SECONDS) + MINUTE <= leases.LONGEST


def test_who_was_late_to_see_a_step_back_keeps_what_others_cut_down(post, clocks):
    post(published([(StopRun, {})]), {})
    with clocks.process("late"):
        look()
        assert len(claim_batch()) == 1
    look()
    clocks.step(-HOUR)
    look()
    upkeep.do()
    with clocks.process("late"):
        look()
    assert close(Run.objects.get().lease_until - clocks.shown, MINUTE)


# --- waits ----------------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_retry_comes_when_it_should(post, drain, clocks, server, asking, step):
    server.says({}, status=500)
    post(asking, {})
    drain()
    clocks.tick(minutes=4)
    clocks.step(step)
    assert drain() == 0
    assert close(left(Delay.objects.get(), clocks), 6 * MINUTE)
    clocks.tick(minutes=6, seconds=2)
    server.says({})
    drain()
    assert Run.objects.get().state == "done"


@BOTH_WAYS
def test_the_delay_of_an_action_follows_the_clock(post, drain, clocks, step):
    long = (DelayAction, {"amount": 3, "unit": "hours"})
    post(published([long]), {})
    drain()
    before = Delay.objects.get().wake_at
    clocks.step(step)
    look()
    upkeep.do()
    assert Delay.objects.get().wake_at == before


def test_what_is_due_is_worked_on_at_once_after_a_step_back(post, drain, clocks):
    connector = published([(StopRun, {})])
    post(connector, {"n": 1})
    clocks.step(-HOUR)
    look()
    post(connector, {"n": 2})
    assert drain() == 2
    assert set(Run.objects.values_list("state", flat=True)) == {"stopped"}


def test_what_was_due_keeps_its_order(post, clocks):
    connector = published([(StopRun, {})])
    for n in range(5):
        post(connector, {"n": n})
        clocks.tick(seconds=1)
    clocks.step(-HOUR)
    look()
    due = Run.objects.filter(state="due", wake_at__lte=clocks.shown)
    assert list(due.order_by("wake_at")) == list(Run.objects.order_by("pk"))
    assert due.count() == 5


def test_what_is_put_off_waits_as_long_after_a_step(clocks):
    Counting(total=30).begin()
    soon = clocks.shown + timedelta(seconds=30)
    Counting.objects.update(wake_at=soon)
    clocks.step(HOUR)
    look()
    assert close(left(Counting.objects.get(), clocks), timedelta(seconds=30))


def test_messages_and_jobs_are_due_after_a_step_back(clocks):
    outbox.queue(ChannelFactory(), ["+4915112345678"], "Hi", key="run:1:1:x")
    Counting(total=30).begin()
    clocks.step(-HOUR)
    assert {"messages", "jobs"} <= look().due()


def test_what_a_stale_process_wrote_waits_no_longer_than_a_minute(post, drain, clocks):
    """It had not looked since the clock was put back, and others had put it right already."""
    connector = published([(StopRun, {})])
    with clocks.process("stale"):
        look()
    clocks.step(-HOUR)
    look()
    with clocks.process("stale"):
        post(connector, {})
        outbox.queue(ChannelFactory(), ["+4915112345678"], "Hi", key="run:1:1:x")
        Counting(total=30).begin()
    run = Run.objects.get()
    Delay.objects.create(
        run_id=run.pk,
        connector_id=connector.pk,
        label="In order: after run 1",
        created_at=run.wake_at,
        wake_at=run.wake_at + 2 * HOUR,
    )
    assert look().earliest > clocks.shown + MINUTE
    clocks.watch(seconds=16)
    assert {"runs", "messages", "jobs"} <= look().due()
    assert close(left(Delay.objects.get(), clocks), 2 * HOUR, by=MINUTE)


@BOTH_WAYS
def test_two_drains_that_see_a_step_put_it_right_once(post, drain, clocks, server, asking, step):
    server.says({}, status=500)
    post(asking, {})
    drain()
    with clocks.process("other"):
        look()
    clocks.step(step)
    look()
    with clocks.process("other"):
        look()
    assert close(left(Delay.objects.get(), clocks), 10 * MINUTE)
    assert close(timedelta(seconds=Installation.objects.get().clock_stepped), step)


@pytest.mark.django_db(transaction=True)
def test_who_sees_it_at_the_same_time_waits_and_finds_it_put_right(is_postgresql, monkeypatch):
    if not is_postgresql:
        pytest.skip("SQLite has one writer")
    carry, carried = clock_steps._carry_delays, []

    def other():
        clock_steps._put_right(HOUR, 0.0)
        connection.close()

    second = Thread(target=other)

    def slowly(by):
        carried.append(by)
        if second.ident is None:
            second.start()
            while second.is_alive() and not is_held_up():
                pass
        carry(by)

    def is_held_up():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return cursor.fetchone()[0]

    Installation.current()
    monkeypatch.setattr(clock_steps, "_carry_delays", slowly)
    clock_steps._put_right(HOUR, 0.0)
    second.join()
    assert carried == [HOUR]
    assert Installation.objects.get().clock_stepped == 3600


def test_who_slept_through_two_steps_puts_right_what_is_left(post, drain, clocks, server, asking):
    server.says({}, status=500)
    post(asking, {})
    drain()
    with clocks.process("sleeper"):
        look()
    clocks.step(HOUR)
    look()
    clocks.step(2 * HOUR)
    with clocks.process("sleeper"):
        look()
    assert close(left(Delay.objects.get(), clocks), 10 * MINUTE)
    look()
    assert close(left(Delay.objects.get(), clocks), 10 * MINUTE)


def test_a_step_that_could_not_be_put_right_is_tried_again(
    post, drain, clocks, server, asking, monkeypatch
):
    server.says({}, status=500)
    post(asking, {})
    drain()
    clocks.step(HOUR)

    def broken(by):
        raise RuntimeError("lost")

    with monkeypatch.context() as patched:
        patched.setattr(clock_steps, "_carry_delays", broken)
        with pytest.raises(RuntimeError):
            look()
    look()
    assert close(left(Delay.objects.get(), clocks), 10 * MINUTE)


def test_a_process_that_starts_after_a_step_puts_nothing_right(post, drain, clocks, server, asking):
    server.says({}, status=500)
    post(asking, {})
    drain()
    clocks.step(HOUR)
    look()
    with clocks.process("new"):
        look()
    assert close(left(Delay.objects.get(), clocks), 10 * MINUTE)


def test_a_clock_that_is_put_on_by_a_moment_is_only_followed(post, clocks):
    post(published([(StopRun, {})]), {})
    (run,) = claim_batch()
    clocks.step(timedelta(seconds=4))
    look()
    assert Run.objects.get().lease_until == run.lease_until
    assert not Installation.objects.filter(clock_stepped__gt=0).exists()
