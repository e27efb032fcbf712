"""make prove: the full numbers. PART=durability, figures, flat, slow, imports or
world runs only one."""

import os

from benchmarks import durability, imports, world
from benchmarks.speed import figures, flat, slow
from tests.run import find_postgresql

PARTS = {
    "durability": durability.main,
    "figures": figures.main,
    "flat": flat.main,
    "slow": slow.main,
    "imports": imports.main,
    "world": world.main,
}


def main() -> None:
    part = os.environ.get("PART", "")
    server = find_postgresql()
    if not server:
        print("No PostgreSQL answers: only what SQLite shows is proved.")
        part = "durability"
    for name, prove in PARTS.items():
        if part in ("", name):
            prove(server)


if __name__ == "__main__":
    main()
