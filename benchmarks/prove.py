"""make prove: the full numbers. PART=durability or PART=figures runs only one of the two."""

import os
import sys

from benchmarks import durability
from benchmarks.speed import figures
from tests.run import find_postgresql


def main() -> None:
    part = os.environ.get("PART", "")
    server = find_postgresql()
    if part != "figures":
        durability.main(server)
    if part != "durability":
        if not server:
            sys.exit("The figures are PostgreSQL's, and none answered.")
        figures.main(server)


if __name__ == "__main__":
    main()
