"""Workers of an import are killed with kill -9: others go on where it stood, every row once."""

import json
import os
import time

import pytest

from tests.chaos.scenario import Scenario, _python
from tests.chaos.worker import SLICE_POINTS

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

ROWS, KILLS = 4_500, 3
LIMIT = 300  # only guards against hanging
SERVER = os.environ.get("TEST_DATABASE_URL") or None


def work_through(scenario, shape, point):
    scenario.start(shape, point)
    begun = time.monotonic()
    while scenario.count("transfer_contactimport", "state IN ('waiting', 'working')"):
        assert time.monotonic() - begun < LIMIT, "The import does not end"
        if not scenario.alive():
            scenario.start(shape, point)
        time.sleep(0.05)


def report_of(scenario):
    return json.loads(_python(scenario.environment, "-m", "tests.chaos.importing", "report"))


def seed(scenario, imports):
    _python(scenario.environment, "-m", "tests.chaos.importing", "seed", str(ROWS), str(imports))


def expected(imports):
    """Eight tenths of the rows are new people, once; a tenth repeats one, a tenth is wrong."""
    people = ROWS * 8 // 10
    return {
        "states": ["done"] * imports,
        "created": people,
        "updated": ROWS * 9 // 10 * imports - people,
        "refused": ROWS // 10 * imports,
        "contacts": people,
        "phones": people,
        "tags": people,
        "refused_rows": ROWS // 10 * imports,
    }


@pytest.mark.parametrize(
    ("shape", "point"),
    [*(("process", point) for point in SLICE_POINTS), ("cluster", "inside a slice")],
)
def test_an_import_whose_workers_are_killed(shape, point):
    with Scenario(SERVER, 1) as scenario:
        seed(scenario, 1)
        scenario.arm(KILLS)
        work_through(scenario, shape, point)
        assert not list(scenario.faults.iterdir()), f"The worker never came to die {point!r}"
        assert report_of(scenario) == expected(1)


def test_the_same_people_imported_twice_at_the_same_time():
    with Scenario(SERVER, 1) as scenario:
        seed(scenario, 2)
        work_through(scenario, "cluster", "nowhere")
        assert report_of(scenario) == expected(2)
