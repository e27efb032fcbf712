"""make prove, PART=world: worlds of connectors, disturbed at random for an hour and judged by a
plain model (tests/chaos/world), written to benchmarks/world.md.

WORLD_SECONDS (3600) in all, WORLD_SEED (drawn, and printed) to live them through once more. What is
to be judged of a world that broke a promise is kept in WORLD_KEEP (benchmarks/worlds).
"""

import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from apps.core import clock
from tests.chaos.world.cluster import why_not
from tests.chaos.world.faults import FAULTS
from tests.chaos.world.judge import tell
from tests.chaos.world.model import figures, judge, unknowns
from tests.chaos.world.record import Record
from tests.chaos.world.world import Settings, World, new_seed

SECONDS = int(os.environ.get("WORLD_SECONDS", "3600"))
# Of one world. A fresh one is worth more than an old one, and short logs are easier to read.
ONE = 300
RESULT = Path(__file__).parent / "world.md"
KEPT = Path(os.environ.get("WORLD_KEEP") or Path(__file__).parent / "worlds")


@dataclass
class Sum:
    """Of all worlds so far."""

    worlds: int = 0
    seconds: float = 0
    figures: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    # Seeds of worlds that broke a promise.
    broken: list[int] = field(default_factory=list)

    def add(self, seed: int, record: Record) -> None:
        self.worlds += 1
        self.figures.update(figures(record))
        self.faults.update(fault["fault"] for fault in record.faults)
        self.unknown.update(unknowns(record))
        found = judge(record)
        self.violations.update(violation.rule for violation in found)
        if found:
            self.broken.append(seed)


def main(server: str) -> None:
    """(The server that the other parts use is left alone: this one crashes its own.)"""
    reason = why_not()
    if reason:
        print(f"No world is lived through here: {reason}.")
        return
    first = int(os.environ.get("WORLD_SEED") or new_seed())
    print(f"WORLD_SEED={first}", flush=True)
    chance, total, begun = random.Random(first), Sum(), time.monotonic()
    seed = first
    while (left := SECONDS - total.seconds) > 0:
        settings = _settings(seed, min(ONE, left), chance)
        total.seconds += settings.seconds
        _live(settings, total)
        print(f"{time.monotonic() - begun:.0f} s: {dict(total.figures)}", flush=True)
        _write(first, total)
        seed = chance.randrange(1_000_000)
    if total.broken:
        sys.exit(f"Promises were broken: {dict(total.violations)}; kept in {KEPT}.")


def _settings(seed: int, seconds: float, chance: random.Random) -> Settings:
    """Every other world knows only some of the faults, so that none hides behind the others."""
    few = chance.sample(list(FAULTS), 4)
    faults = list(FAULTS) if chance.random() < 0.5 else few
    return Settings(seed, seconds, faults=faults, rate=chance.uniform(3, 8))


def _live(settings: Settings, total: Sum) -> None:
    with tempfile.TemporaryDirectory(prefix="switchboard-world-") as home:
        directory = Path(home) / str(settings.seed)
        with World(settings, directory) as world:
            world.run()
        total.add(settings.seed, Record.of(directory))
        if settings.seed in total.broken:
            tell(directory)
            shutil.copytree(directory, KEPT / directory.name, dirs_exist_ok=True)


def _write(seed: int, total: Sum) -> None:
    lines = [
        "# A world, disturbed and judged",
        "",
        f"`PART=world make prove`, {clock.now():%Y-%m-%d}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, WORLD_SEED={seed}. {total.worlds} worlds, "
        f"{total.seconds / 60:.0f} minutes of posts, operators and faults; then each is left in "
        "peace until nothing is open. A plain model compares what callers, the outside, operators "
        "and faults logged with what the tables say: every event ran and ended, effects are there "
        "once, requests were made as often as the rules allow, timelines are true, and *unknown* "
        "is only what nobody can know.",
        "",
        f"**{sum(total.violations.values())} promises broken**, in {total.figures['faults']:,} "
        "faults." + _broken(total),
    ]
    lines += _table("what there was", total.figures)
    lines += _table("fault", total.faults)
    lines += _table("unknown, and what made it so", total.unknown)
    RESULT.write_text("\n".join(lines) + "\n")


def _broken(total: Sum) -> str:
    if not total.broken:
        return ""
    rules = ", ".join(f"{rule} {times}" for rule, times in total.violations.most_common())
    return f" By rule: {rules}. Seeds: {', '.join(map(str, total.broken))}."


def _table(title: str, counts: Counter[str]) -> list[str]:
    rows = [f"| {name} | {times:,} |" for name, times in sorted(counts.items())]
    return ["", f"| {title} | times |", "|---|---|", *rows]
