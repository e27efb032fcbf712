"""What one drain does between its rounds: how long it waits, what wakes it, what it survives."""

from datetime import UTC, datetime, timedelta
from unittest.mock import Mock
from uuid import uuid4

import psycopg
import pytest
from django.db import OperationalError, connection

from apps.actions.kinds.delay import Delay
from apps.actions.kinds.stop import StopRun
from apps.core import due
from apps.engine import bell, calls, rounds
from apps.engine import drain as drain_module
from apps.engine.agenda import Agenda, look
from apps.engine.bell import SQLITE_LOOKS_EVERY
from apps.engine.claims import claim_batch
from apps.engine.drain import BARREN_PAUSE, LEAD, PIECE, Drain, until_due
from apps.engine.floor import Slot, Watch
from apps.engine.models import Run
from apps.messaging.models import Message
from tests.factories import ChannelFactory, published

pytestmark = pytest.mark.django_db


class Waits(list):
    """How long one without requests under way was asked to wait; it does not wait."""

    in_flight = 0

    def wait(self, seconds, wake=()):
        self.append(seconds)


@pytest.fixture
def waits(monkeypatch):
    made = Waits()
    monkeypatch.setattr(drain_module, "outgoing", lambda: made)
    return made


@pytest.fixture
def rung(monkeypatch):
    """Set it, and the bell rings once; a bell that the database need not ring."""
    rings = []
    monkeypatch.setattr(bell, "descriptor", lambda: 0)
    monkeypatch.setattr(bell, "heard", lambda: bool(rings and rings.pop()))
    return rings


# --- how long -------------------------------------------------------------------------------------


def test_nothing_due_waits_a_second_at_most(clock):
    assert until_due(look()) == 1.0


def test_a_delay_is_waited_for_to_the_moment(post, clock, drain):
    post(published([(Delay, {"amount": 1, "unit": "minutes"})]), {})
    drain()
    clock.tick(seconds=59.75)
    assert until_due(look()) == pytest.approx(0.25)


def test_messages_of_a_switched_off_channel_are_not_due(clock):
    channel = ChannelFactory(enabled=False)
    Message.objects.create(channel=channel, address="+4915112345678", text="Hi", wake_at=clock.now)
    assert look().earliest is None
    channel.enabled = True
    channel.save()
    assert look().earliest == clock.now


def test_what_is_due_and_can_not_be_taken_is_no_reason_to_hurry(
    post, clock, waits, rung, monkeypatch
):
    post(published([(StopRun, {})]), {})
    monkeypatch.setattr(drain_module, "round_of_lanes", lambda due: 0)
    Drain().step()
    assert waits == [BARREN_PAUSE]


def test_without_a_bell_it_looks_often(waits, asked, monkeypatch):
    monkeypatch.setattr(bell, "descriptor", lambda: None)
    Drain().step()
    assert waits == [SQLITE_LOOKS_EVERY]


# --- what wakes it --------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """The lanes of each round."""
    lanes = []
    monkeypatch.setattr(drain_module, "round_of_lanes", lambda due: lanes.append(set(due)) or 0)
    return lanes


def test_on_watch_it_claims_at_the_first_ring_without_a_look(
    waits, rung, asked, django_assert_num_queries
):
    drain = Drain()
    drain.step()
    rung.append(True)
    drain.step()
    with django_assert_num_queries(0):
        drain.step()
    assert asked == [set(), set(), {"runs"}]
    assert waits == [1.0]


def test_the_others_look_once_after_a_moment(waits, rung, asked, django_assert_num_queries):
    watch = Watch()
    assert watch.take(0)
    other = Drain(Slot(), watch, 1)
    rung.append(True)
    other.step()
    assert waits == [LEAD]
    with django_assert_num_queries(1):
        other.step()
    assert asked == [set(), set()]
    assert waits[-1] == 1.0 + LEAD


def gone(watch, *lanes):
    """What a wait sees in whose course the drain on watch goes to work on these lanes."""

    def meanwhile(seconds, descriptor):
        watch.leave(0)
        worker = Drain(Slot(), watch, 0)
        worker._told = Agenda(dict.fromkeys(lanes, datetime.min.replace(tzinfo=UTC)))
        worker.step()
        return True

    return meanwhile


def test_while_who_was_on_watch_does_a_job_another_acts_at_once(waits, rung, asked, monkeypatch):
    watch = Watch()
    assert watch.take(0)
    other = Drain(Slot(), watch, 1)
    monkeypatch.setattr(other, "_rings", gone(watch, "jobs"))
    other.step()
    other.step()
    assert waits == []
    assert asked == [set(), {"jobs"}, {"runs"}]
    assert watch.take(0)


def test_while_who_was_on_watch_does_runs_the_others_give_it_a_moment(
    waits, rung, asked, monkeypatch
):
    watch = Watch()
    assert watch.take(0)
    other = Drain(Slot(), watch, 1)
    monkeypatch.setattr(other, "_rings", gone(watch, "runs"))
    other.step()
    assert waits == [LEAD]
    assert asked == [set(), {"runs"}]


def test_an_idle_wake_up_is_one_statement(waits, rung, asked, django_assert_num_queries):
    drain = Drain()
    drain.step()
    with django_assert_num_queries(1):
        drain.step()


def test_who_works_is_not_on_watch(waits, rung, asked):
    watch = Watch()
    Drain(Slot(), watch, 1).step()
    assert watch.take(0)
    assert not watch.take(1)
    watch.leave(1)  # not its to leave
    assert not watch.take(1)


# --- what it survives -----------------------------------------------------------------------------


@pytest.fixture
def pauses(monkeypatch):
    """How long a drain rests after trouble; it does not rest."""
    made = []
    monkeypatch.setattr(Drain, "_rest", lambda self, seconds: made.append(seconds))
    monkeypatch.setattr(connection, "close", lambda: None)
    return made


@pytest.mark.parametrize(
    "error", [OperationalError("gone"), psycopg.OperationalError("gone"), ZeroDivisionError()]
)
def test_trouble_is_waited_out_ever_longer(pauses, error):
    drain = Drain()

    def broken():
        raise error

    for _ in range(8):
        drain._carefully(broken)
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    drain._carefully(lambda: None)
    drain._carefully(broken)
    assert pauses[-1] == 0.1


def test_after_trouble_it_gives_back_what_it_holds_before_it_goes_on(pauses, post):
    post(published([(StopRun, {})]), {})
    drain = Drain()

    def claims_and_breaks():
        claim_batch()
        raise OperationalError("server closed the connection")

    drain._carefully(claims_and_breaks)
    assert Run.objects.get().state == "leased"
    drain._carefully(lambda: None)
    assert Run.objects.get().state == "due"


def test_runs_whose_calls_are_under_way_are_kept(post):
    post(published([(StopRun, {})]), {})
    post(published([(StopRun, {})]), {})
    asking, stray = claim_batch()

    name = uuid4()
    Run.objects.filter(pk=asking.pk).update(call=name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls.exchange(), "ids", lambda: [name])
        rounds.recover()
    asking.refresh_from_db()
    stray.refresh_from_db()
    assert (asking.state, stray.state) == ("leased", "due")


def test_a_rest_shows_signs_of_life_and_lets_calls_go_on(waits, monkeypatch):
    now, beats = [100.0], []
    monkeypatch.setattr(drain_module, "monotonic", lambda: now[0])
    monkeypatch.setattr(drain_module.heart, "beat", lambda: beats.append(now[0]))
    waits.wait = lambda seconds: (waits.append(seconds), now.__setitem__(0, now[0] + seconds))
    Drain()._rest(1.25)
    assert waits == [PIECE, PIECE, 0.25]
    assert len(beats) == 3


def test_an_answer_that_waits_makes_no_busy_loop(waits, monkeypatch):
    """There is no waiting while an answer was not looked at."""
    now, slept = [100.0], []
    monkeypatch.setattr(drain_module, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        drain_module,
        "sleep",
        lambda seconds: (slept.append(seconds), now.__setitem__(0, now[0] + seconds)),
    )
    Drain()._rest(0.1)
    assert sum(slept) == pytest.approx(0.1)
    assert len(slept) <= 6


@pytest.mark.django_db(transaction=True)
def test_a_new_connection_hears_the_bell_and_waits_for_nobody_long(is_postgresql):
    if not is_postgresql:
        pytest.skip("there is no bell")
    from django.db.backends.signals import connection_created

    connection_created.connect(drain_module._made, dispatch_uid="test")
    try:
        for _ in range(2):
            connection.close()
            with connection.cursor() as cursor:
                cursor.execute("SHOW lock_timeout")
                assert cursor.fetchone() == ("2s",)
                cursor.execute("SHOW idle_in_transaction_session_timeout")
                assert cursor.fetchone() == ("10s",)
            assert not bell.heard()
            bell.ring()
            assert bell.heard()
    finally:
        connection_created.disconnect(dispatch_uid="test")
        connection.close()


# --- the end --------------------------------------------------------------------------------------


def test_it_lets_go_of_what_it_could_not_end(post, waits):
    post(published([(StopRun, {})]), {})
    (run,) = claim_batch()
    Drain()._end()
    again = Run.objects.get()
    assert (again.state, again.lease_epoch) == ("due", run.lease_epoch + 1)
    assert calls.exchange().closing


def test_one_that_has_grown_too_large_leaves(monkeypatch, waits):
    drain = Drain(slot := Slot())
    assert not drain._is_large()
    monkeypatch.setattr(drain_module, "LARGE", 1)
    assert not drain._is_large()  # rarely looked at
    drain._weighed_at -= timedelta(minutes=1).total_seconds()
    assert drain._is_large()
    drain._end()
    assert slot.leaves.value == 1


def test_a_supervisor_can_read_whose_leases_a_drain_takes():
    slot = Slot()
    assert slot.owner == ""
    slot.owner = due.owner()
    assert slot.owner == due.owner()


def test_what_rings_does_not_wait_for_the_upkeep(monkeypatch):
    """It is done behind the lanes, and only when they have nothing left to do."""
    done = []
    work = iter([3, 1, 0])
    monkeypatch.setattr(drain_module, "look", lambda: Mock(due=lambda: {"runs"}))
    monkeypatch.setattr(
        drain_module, "round_of_lanes", lambda due: done.append("lanes") or next(work)
    )
    monkeypatch.setattr(
        drain_module.rounds, "upkeep_if_due", lambda idle: done.append(f"upkeep, idle: {idle}")
    )
    made = Drain()
    monkeypatch.setattr(made, "_wait", lambda agenda: None)
    for _ in range(3):
        made.step()
    assert done == ["lanes", "upkeep, idle: False"] * 2 + ["lanes", "upkeep, idle: True"]
