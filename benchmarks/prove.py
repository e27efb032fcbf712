"""make prove: the full numbers. PART=durability, figures, flat, slow, beside, imports or world runs
only one. PART=mutants, which tries the tests instead of the product, and PART=before, which needs a
commit to compare with, run only when they are named."""

import os
import signal
import sys

import psycopg

from benchmarks import durability, imports, mutants, world
from benchmarks.speed import before, beside, figures, flat, slow
from tests.run import find_postgresql

PARTS = {
    "durability": durability.main,
    "figures": figures.main,
    "flat": flat.main,
    "slow": slow.main,
    "beside": beside.main,
    "imports": imports.main,
    "world": world.main,
}


def main() -> None:
    # What was started for a measurement ends with it.
    signal.signal(signal.SIGTERM, lambda *told: sys.exit("Stopped."))
    part = os.environ.get("PART", "")
    if part == "mutants":
        mutants.main()
        return
    server = find_postgresql()
    if not server:
        print("No PostgreSQL answers: only what SQLite shows is proved.")
        part = "durability"
    elif part != "world" and not _cleans_up(server):
        sys.exit("This PostgreSQL has autovacuum off. Nobody runs it like that: name another one.")
    if part == "before":
        before.main(server)
    for name, prove in PARTS.items():
        if part in ("", name):
            prove(server)


def _cleans_up(server: str) -> bool:
    with psycopg.connect(server) as connection:
        return connection.execute("SHOW autovacuum").fetchone() == ("on",)


if __name__ == "__main__":
    main()
