"""The time is the database's, read now and then and carried on."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core import clock, database_time

THEN = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
S = timedelta(seconds=1)


@pytest.fixture
def passed(monkeypatch):
    """A process that has read no clock yet, on a host whose clock is an hour ahead. `passed[0]` is
    the time since it was started."""
    passed = [100 * S]
    monkeypatch.setattr(clock, "_line", clock.Line())
    monkeypatch.setattr(clock, "_seconds", lambda: passed[0].total_seconds())
    monkeypatch.setattr(clock, "host", lambda: THEN + timedelta(hours=1))
    return passed


def read(passed, shown, took=0.0):
    asked = passed[0]
    passed[0] += took * S
    clock.read(shown, asked)


def test_before_the_first_reading_it_is_the_hosts(passed):
    assert clock.now() == THEN + timedelta(hours=1)


def test_a_reading_is_carried_on_whatever_becomes_of_the_hosts_clock(passed, monkeypatch):
    read(passed, THEN)
    passed[0] += 90 * S
    monkeypatch.setattr(clock, "host", lambda: THEN - timedelta(hours=1))
    assert clock.now() == THEN + 90 * S


def test_a_slow_answer_moves_nothing_that_agrees_with_it(passed):
    read(passed, THEN)
    passed[0] += 10 * S
    read(passed, THEN + 14 * S, took=8)  # asked at 10, answered at 18: shown at 14, as expected
    assert clock.now() == THEN + 18 * S
    assert not clock.stepped()


def test_it_is_not_ahead_and_better_readings_do_not_put_it_back(passed):
    read(passed, THEN + 1 * S, took=2)
    assert clock.now() == THEN + 1 * S  # THEN + 2 s, if the answer was quicker than the question
    read(passed, THEN + 2 * S)
    assert clock.now() == THEN + 2 * S


def test_a_clock_that_goes_a_little_wrong_is_followed_and_has_not_been_put_on(passed):
    read(passed, THEN)
    for minute in range(1, 11):
        passed[0] += 60 * S
        read(passed, THEN + minute * 64 * S)
        assert clock.now() == THEN + minute * 64 * S
    assert not clock.stepped()


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_is_followed_and_known(passed, hours):
    read(passed, THEN)
    step = timedelta(hours=hours)
    passed[0] += 1 * S
    read(passed, THEN + 1 * S + step)
    assert (clock.now(), clock.stepped()) == (THEN + 1 * S + step, step)
    read(passed, THEN + 1 * S)
    assert not clock.stepped()  # put back again


def test_after_a_long_time_unseen_a_little_is_no_step(passed):
    read(passed, THEN)
    passed[0] += timedelta(hours=10)
    read(passed, THEN + timedelta(hours=10, seconds=20))
    assert not clock.stepped()


def test_a_clock_of_ones_own_wins(passed, clock):
    from apps.core import clock as core_clock

    read(passed, THEN + timedelta(days=365))
    assert core_clock.now() == clock.now
    before = core_clock.steady()
    clock.tick(seconds=30)
    assert core_clock.steady() - before == 30 * S


# --- who reads it ---------------------------------------------------------------------------------


@pytest.fixture
def fresh_for(monkeypatch):
    """Readings are fresh for five seconds here."""
    monkeypatch.setattr(database_time, "FRESH", 5.0)


@pytest.mark.django_db(transaction=True)
def test_one_statement_in_a_while_keeps_it_fresh(passed, fresh_for, is_postgresql):
    def statements():
        with CaptureQueriesContext(connection) as captured:
            database_time.refresh()
        return len(captured)

    one = 1 if is_postgresql else 0
    connection.ensure_connection()  # which takes a reading if it is new
    passed[0] += 6 * S
    assert [statements(), statements()] == [one, 0]
    passed[0] += 4 * S
    assert statements() == 0
    passed[0] += 2 * S
    assert statements() == one


@pytest.mark.django_db(transaction=True)
def test_the_readings_are_the_databases(passed, fresh_for, is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has no clock but the host's")
    database_time.refresh()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        shown = cursor.fetchone()[0]
    assert abs(clock.now() - shown) < 2 * S


@pytest.mark.django_db(transaction=True)
def test_none_is_taken_inside_a_transaction(passed, fresh_for):
    connection.ensure_connection()
    passed[0] += 60 * S
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        database_time.refresh()
    assert len(captured) == 0


@pytest.mark.django_db(transaction=True)
def test_whoever_connects_takes_one(passed, is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has no clock but the host's")
    connection.close()
    connection.ensure_connection()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_left_to_the_next_statement(passed, fresh_for, is_postgresql):
    if not is_postgresql:
        pytest.skip("nothing is read")
    connection.ensure_connection()
    passed[0] += 60 * S
    connection.connection.close()
    database_time.refresh()
    with connection.cursor() as cursor:  # by a new connection
        cursor.execute("SELECT 1")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hours", [1, -1])
def test_a_web_host_with_a_wrong_clock_receives_in_the_databases_time(
    passed, fresh_for, monkeypatch, post, is_postgresql, hours
):
    from apps.actions.kinds.stop import StopRun
    from apps.engine.models import Event, Run
    from tests.factories import published

    if not is_postgresql:
        pytest.skip("SQLite has no clock but the host's")
    connector = published([(StopRun, {})])
    monkeypatch.setattr(clock, "_line", clock.Line())
    monkeypatch.setattr(clock, "host", lambda: datetime.now(UTC) + timedelta(hours=hours))
    assert post(connector, {}).status_code == 202
    for at in (Event.objects.get().received_at, Run.objects.get().wake_at):
        assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_the_express_lane_stores_in_the_databases_time(
    passed, fresh_for, monkeypatch, is_postgresql
):
    from apps.actions.kinds.stop import StopRun
    from apps.engine import express, intake
    from apps.engine.models import Run
    from tests.factories import published

    if not is_postgresql:
        pytest.skip("there is no express lane")
    connector = published([(StopRun, {})])
    intake.lookup(connector.token)
    monkeypatch.setattr(clock, "_line", clock.Line())
    data = (
        f"POST /hooks/{connector.token} HTTP/1.1\r\nHost: testserver\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    ).encode()
    express.store([express.read(data)])
    assert abs(Run.objects.get().wake_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_tasks_of_django_q_begin_with_a_fresh_time():
    from django_q.signals import pre_execute

    assert database_time.refresh in [receiver() for _, receiver, *_ in pre_execute.receivers]
