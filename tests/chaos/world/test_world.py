"""A small world, lived through with every kind of fault and judged. `PART=world make prove` lives
through large ones for an hour."""

import pytest

from tests.chaos.world.cluster import why_not
from tests.chaos.world.faults import FAULTS
from tests.chaos.world.model import judge
from tests.chaos.world.record import Record
from tests.chaos.world.world import Settings, World

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.once,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
]

SEED = 10
SECONDS = 25


@pytest.mark.parametrize("faults", [[], list(FAULTS)], ids=["in peace", "disturbed"])
def test_a_world_keeps_its_promises(tmp_path, faults):
    """Its logs stay in the directory of the test: judge.py judges them once more."""
    with World(Settings(SEED, SECONDS if faults else 6, faults=faults), tmp_path) as world:
        world.run()
    record = Record.of(tmp_path)
    assert record.posts and record.requests and bool(record.faults) == bool(faults)
    assert [str(violation) for violation in judge(record)] == []
