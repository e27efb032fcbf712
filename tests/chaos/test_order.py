"""In order per contact with real workers, two at once where the database allows it."""

import json
import os

import pytest

from tests.chaos.ordered import CONTACTS, EACH
from tests.chaos.scenario import Scenario, _python

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

FLOOD = 500
LIMIT = 300
SERVER = os.environ.get("TEST_DATABASE_URL") or None


def run(point="nowhere", kills=0):
    """What the workers did, having been killed so many times."""
    with Scenario(SERVER, 0) as scenario:
        _python(scenario.environment, "-m", "tests.chaos.ordered", "seed", str(FLOOD))
        scenario.arm(kills)
        scenario._point = point
        scenario.wait_for_the_end("cluster", LIMIT)
        assert not list(scenario.faults.iterdir())
        return json.loads(_python(scenario.environment, "-m", "tests.chaos.ordered", "report"))


def check(report):
    """Each contact's runs stand one behind the other, each as a whole."""
    assert report["states"] == ["done"]
    assert report["runs"] == FLOOD + CONTACTS * EACH
    stories = sorted(report["stories"].values(), key=len)
    assert [len(story) for story in stories] == [3 * EACH] * CONTACTS + [2 * FLOOD]
    for story in stories:
        assert story == sorted(story)


def test_every_contacts_runs_go_one_after_the_other():
    check(run())


@pytest.mark.parametrize("point", ["before the commit", "after claim", "after waking"])
def test_so_they_do_when_workers_are_killed(point):
    check(run(point, kills=2))
