"""make prove: the full numbers. PART=durability, figures, flat, slow or imports runs
only one. PART=mutants, which tries the tests instead of the product, runs only when it is named."""

import os

from benchmarks import durability, imports, mutants
from benchmarks.speed import figures, flat, slow
from tests.run import find_postgresql

PARTS = {
    "durability": durability.main,
    "figures": figures.main,
    "flat": flat.main,
    "slow": slow.main,
    "imports": imports.main,
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
