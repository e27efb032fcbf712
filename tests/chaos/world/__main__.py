"""Live one world through and judge it:

python -m tests.chaos.world SEED SECONDS DIRECTORY [FAULT …]    all faults; `none`: in peace
"""

import sys
from pathlib import Path

from tests.chaos.world import judge
from tests.chaos.world.faults import FAULTS
from tests.chaos.world.world import Settings, World


def main(seed: str, seconds: str, directory: str, *names: str) -> int:
    faults = [name for name in names if name != "none"] if names else list(FAULTS)
    settings = Settings(seed=int(seed), seconds=float(seconds), faults=faults)
    with World(settings, Path(directory)) as world:
        world.run()
    return judge.tell(Path(directory))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
