"""Several workers write about the same people, and are killed: each effect is there once."""

import json
import os

import pytest

from tests.chaos.people import ATTRIBUTES, PEOPLE
from tests.chaos.scenario import Scenario, _python

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

EVENTS = 200
LIMIT = 300
SERVER = os.environ.get("TEST_DATABASE_URL") or None


@pytest.mark.parametrize(("point", "kills"), [("nowhere", 0), ("before the commit", 2)])
def test_nothing_is_lost_and_nobody_is_doubled(point, kills):
    with Scenario(SERVER, 0) as scenario:
        _python(scenario.environment, "-m", "tests.chaos.people", "seed", str(EVENTS))
        scenario.arm(kills)
        scenario._point = point
        scenario.wait_for_the_end("cluster", LIMIT)
        assert not list(scenario.faults.iterdir())
        report = json.loads(_python(scenario.environment, "-m", "tests.chaos.people", "report"))
    assert (report["states"], report["contacts"]) == (["done"], PEOPLE)
    own = [f"Tag {number}" for number in range(EVENTS)]
    assert report["tags"] == sorted([*own, *["everybody"] * PEOPLE])
    assert report["values"] == PEOPLE * ATTRIBUTES
    assert report["notes"] == sorted(f"Note {number}" for number in range(EVENTS))
