"""Judge a kept world once more: python -m tests.chaos.world.judge DIRECTORY"""

import sys
from collections import Counter
from pathlib import Path

from tests.chaos.world.model import figures, judge, unknowns
from tests.chaos.world.record import Record


def tell(directory: Path) -> int:
    """Print the verdict; returns 1 when a promise was not kept."""
    record = Record.of(directory)
    found = judge(record)
    print("judged:", figures(record))
    print("faults:", dict(Counter(fault["fault"] for fault in record.faults)))
    print("unknown:", dict(unknowns(record)))
    for violation in found:
        print(violation)
    print(f"{len(found)} violations: {dict(Counter(violation.rule for violation in found))}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(tell(Path(sys.argv[1])))
