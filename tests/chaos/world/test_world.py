"""A small world, lived through with every kind of fault and judged. `PART=world make prove` lives
through large ones for an hour."""

import pytest

from tests.chaos.world.cluster import why_not
from tests.chaos.world.model import judge
from tests.chaos.world.record import Record
from tests.chaos.world.world import Settings, World

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.once,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
]

SEEDS = [20260302]
SECONDS = 30


@pytest.mark.parametrize("seed", SEEDS)
def test_a_disturbed_world_keeps_its_promises(tmp_path, seed):
    """Its logs stay in the directory of the test: judge.py judges them once more."""
    with World(Settings(seed, SECONDS, hands=3), tmp_path) as world:
        world.run()
    record = Record.of(tmp_path)
    assert record.posts and record.requests and record.faults
    assert [str(violation) for violation in judge(record)] == []
