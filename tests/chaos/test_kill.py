"""kill -9 at every named point and at random ones: nothing lost, nothing twice."""

import os
import random
import time

import pytest

from tests.chaos.scenario import Scenario, check
from tests.chaos.worker import POINTS

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

RUNS = 20
# Only guards against hanging; a quiet machine needs a few seconds.
LIMIT = 300
SERVER = os.environ.get("TEST_DATABASE_URL") or None


# `PART=durability make prove` dies at all of them, and at random ones, with thousands of runs.
@pytest.mark.parametrize("point", POINTS if SERVER else POINTS[1::2])
def test_one_worker_process_killed_at(point):
    with Scenario(SERVER, RUNS) as scenario:
        # All sleepers may wake in one batch, so that nobody comes to die there twice.
        kills = 1 if point == "after waking" else 2
        check(scenario.run_through("process", point, kills, LIMIT), RUNS)


@pytest.mark.parametrize("point", ["before the commit", "after the gateway accepted"])
def test_a_cluster_whose_worker_is_killed_at(point):
    with Scenario(SERVER, RUNS) as scenario:
        check(scenario.run_through("cluster", point, kills=2, limit=LIMIT), RUNS)


def test_a_cluster_killed_as_a_whole_and_in_parts_at_random():
    chance = random.Random(20260302)
    with Scenario(SERVER, RUNS * 3) as scenario:
        for _ in range(2):
            scenario.start("cluster")
            time.sleep(chance.uniform(1.5, 2.5))
            scenario.kill_one_process(chance)
            time.sleep(chance.uniform(0.1, 0.6))
            scenario.kill_everything()
        scenario.wait_for_the_end("cluster", LIMIT)
        check(scenario.report(), RUNS * 3)


def test_five_delays_in_a_row_with_restarts_between_fire_once_each():
    with Scenario(SERVER, RUNS, seconds=2, delays=5) as scenario:
        for _ in range(2):
            scenario.recover("cluster", LIMIT)
            scenario.kill_everything()
        scenario.wait_for_the_end("cluster", LIMIT)
        check(scenario.report(), RUNS, delays=5)
