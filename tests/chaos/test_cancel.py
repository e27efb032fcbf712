"""Runs cancelled while the worker that holds them is dead or hangs: nothing more happens."""

import os

import pytest

from tests.chaos.scenario import Scenario

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

RUNS, LATER = 20, 5
LIMIT = 300  # only guards against hanging
SERVER = os.environ.get("TEST_DATABASE_URL") or None
STORY = "Field mapping > Add Tag > Send Message > Delay > Ask again > Tag again"


@pytest.mark.parametrize(
    ("fault", "point"),
    [
        ("kill", "before the commit"),
        ("hang", "after claim"),
        pytest.param(
            "hang",
            "inside a turn",
            marks=pytest.mark.skipif(
                not SERVER, reason="SQLite lets nobody write beside a transaction that hangs"
            ),
        ),
    ],
)
def test_runs_of_a_worker_that_is_gone_stay_cancelled(fault, point):
    with Scenario(SERVER, RUNS) as scenario:
        scenario.arm(1, fault)
        scenario.start("process", point)
        scenario.wait_for_the_fault(LIMIT)
        assert scenario.count("engine_run", "state = 'leased'")
        assert scenario.cancel_all_and_post(LATER) == RUNS
        if fault == "hang":
            scenario.wake_up()
        # One worker does one thing after the other: when the later runs have ended, it is
        # through with what it held.
        scenario.wait_for_the_end("process", LIMIT)
        report = scenario.report()
    assert report["runs"] == {"cancelled": RUNS, "done": LATER}
    assert report["runs_by_story"] == {"Run cancelled": RUNS, STORY: LATER}
    assert report["contacts"] == LATER
    assert report["tags"] == {"first": LATER, "second": LATER}
    assert report["messages"] == {"sent": 2 * LATER}
    assert report["missing"] == report["on_phone_twice"] == []
