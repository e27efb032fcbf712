"""Clocks are put on and back by an hour: limits, pauses and ordinary tasks stand it."""

from datetime import timedelta

import pytest

from apps.actions.kinds.http_api import HttpApi
from apps.engine import rate, upkeep
from apps.engine.agenda import look
from apps.engine.breaker import FAILURES, PAUSE, Breaker
from apps.engine.models import Delay, Queue, Run
from tests.factories import published
from tests.steps import BOTH_WAYS, HOUR, MINUTE, close, left

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outside")]


# --- limits and pauses ----------------------------------------------------------------------------


@pytest.fixture
def limited(server, settings):
    """A connector whose calls may be ten in a minute."""
    settings.HTTP_PER_MINUTE = 10

    def made(over_limit):
        columns = {"label": "X", "method": "GET", "url": f"{server.url}/x"}
        return published([(HttpApi, {**columns, "over_limit": over_limit})])

    return made


def test_calls_are_not_refused_for_an_hour_after_a_step_back(post, drain, clocks, server, limited):
    """r17, fail: ten calls, then the clock is put back."""
    connector = limited("fail")
    for n in range(10):
        post(connector, {"n": n})
    drain()
    post(connector, {"n": 99})  # accepted and not begun
    clocks.step(-HOUR)
    post(connector, {"n": 100})
    drain()
    assert len(server.asked) == 12
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}


def test_calls_do_not_wait_for_an_hour_after_a_step_back(post, drain, clocks, server, limited):
    """r17, wait."""
    connector = limited("wait")
    for n in range(15):
        post(connector, {"n": n})
    drain()
    assert len(server.asked) == 10
    clocks.step(-HOUR)
    look()
    assert Delay.objects.filter(state="waiting").count() == 5
    assert left(Queue.objects.get(), clocks) <= MINUTE
    for _ in range(7):
        clocks.tick(seconds=10)
        drain()
    assert len(server.asked) == 15


@BOTH_WAYS
def test_the_minute_of_a_step_has_twice_the_limit_at_most(
    post, drain, clocks, server, limited, step
):
    connector = limited("wait")
    for n in range(40):
        post(connector, {"n": n})
    drain()
    clocks.step(step)
    for _ in range(6):
        drain()
        clocks.tick(seconds=9)
    assert len(server.asked) <= 20


@BOTH_WAYS
def test_the_pause_of_a_host_that_does_not_answer_is_no_longer(clocks, step):
    from apps.core.http.messages import Failure, Kind

    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.saw("host", Failure("Nobody", Kind.CONNECT, sent=False, took_us=0))
    clocks.step(step)
    look()
    assert close(breaker.left_of_pause("host"), PAUSE)
    clocks.tick(seconds=31)
    assert breaker.left_of_pause("host") is None


@BOTH_WAYS
def test_the_rate_of_a_connector_is_no_other(clocks, step):
    assert [rate.take(1, 2) for _ in range(3)] == [0, 0, 30]
    clocks.step(step)
    look()
    assert rate.take(1, 2) == 30
    clocks.tick(seconds=30)
    assert rate.take(1, 2) == 0


# --- ordinary tasks -------------------------------------------------------------------------------


def test_a_host_that_was_ahead_leaves_no_task_waiting_for_an_hour(clocks):
    from django_q.models import OrmQ, Schedule

    from apps.engine.sweep import ensure_schedule

    ensure_schedule()
    ahead = clocks.true + HOUR
    Schedule.objects.update(next_run=ahead)
    OrmQ.objects.create(key="switchboard", payload="x", lock=ahead)
    upkeep.do()
    assert all(close(made.next_run, clocks.true) for made in Schedule.objects.all())
    assert OrmQ.objects.get().lock - clocks.true <= timedelta(minutes=4)
