"""make prove: the full numbers. PART=durability, figures, flat, slow, beside, imports or world runs
only one. PART=mutants, which tries the tests instead of the product, runs only when it is named."""

import os

from benchmarks import durability, imports, mutants, world
from benchmarks.speed import beside, figures, flat, slow
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
    part = os.environ.get("PART", "")
    if part == "mutants":
        mutants.main()
        return
    server = find_postgresql()
    if not server:
        print("No PostgreSQL answers: only what SQLite shows is proved.")
        part = "durability"
    for name, prove in PARTS.items():
        if part in ("", name):
            prove(server)


if __name__ == "__main__":
    main()
