"""make prove, PART=flat: does a full database slow the engine down? Runs with two HTTP calls each,
in an empty installation and in one with a past, in turns; written to flat.md."""

import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from apps.core import clock
from benchmarks.speed import backlog, machine
from benchmarks.speed.echo import Echo
from benchmarks.speed.figures import SHARE, of
from benchmarks.speed.plans import Plans
from tests.installation import ROOT, Installation, installed

RESULT = Path(__file__).parent.parent / "flat.md"
PAIRS, RUNS = 7, 1_000
TABLES = ("engine_run", "engine_event", "engine_attempt", "engine_call", "engine_delay")
BUFFERS = "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()"


def main(server: str) -> None:
    finished, asleep = of(1_000_000), of(100_000)
    os.environ["ECHO_URL"] = Echo().url
    os.environ["PYTHONPATH"] = str(ROOT)
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as other,
        installed(Path(one), server) as empty,
        installed(Path(other), server) as full,
    ):
        flows = {made: _flow(made) for made in (empty, full)}
        backlog.finished_runs(full.env["DATABASE_URL"], flows[full], finished)
        backlog.sleeping_runs(full.env["DATABASE_URL"], flows[full], asleep, "1 day", "90 days")
        for made in (empty, full):
            _work(made, flows[made])  # warm up
        pairs = [
            [_work(made, flows[made]) for made in ((empty, full) if n % 2 else (full, empty))]
            for n in range(PAIRS)
        ]
        plans = [_plans(made, flows[made]) for made in (empty, full)]
    measured = [pair if n % 2 else pair[::-1] for n, pair in enumerate(pairs)]
    _write(server, finished, asleep, measured, _compared(*plans))


def _flow(made: Installation) -> dict[str, Any]:
    made.env["SWITCHBOARD_HTTP_ALLOW"] = "127.0.0.1"
    made.env["SWITCHBOARD_HTTP_PER_MINUTE"] = "0"
    found = made.python(
        "from benchmarks.target import publish_flows\n"
        "from apps.connectors.models import Connector\n"
        "publish_flows()\n"
        "made = Connector.objects.get(token='bench-f2')\n"
        "print(json.dumps({'connector': made.pk, 'revision': made.published_id}))"
    )
    return found  # type: ignore[no-any-return]


def _work(made: Installation, flow: dict[str, Any]) -> dict[str, float]:
    """RUNS runs by one worker process; {"per_second", "cpu_ms", "buffers"} by run."""
    backlog.due_runs(made.env["DATABASE_URL"], flow, 1, RUNS)
    before = int(made.query(BUFFERS)[0][0])
    took = json.loads(made.run("-m", "benchmarks.speed.drainer"))
    after = int(made.query(BUFFERS)[0][0])
    left = made.query("SELECT count(*) FROM engine_run WHERE state IN ('due', 'leased')")
    assert left == [(0,)], left
    return {
        "per_second": RUNS / took["seconds"],
        "cpu_ms": took["cpu"] / RUNS * 1000,
        "buffers": (after - before) / RUNS,
    }


def _plans(made: Installation, flow: dict[str, Any]) -> Plans:
    """How the statements of such work are done."""
    backlog.due_runs(made.env["DATABASE_URL"], flow, 1, RUNS)
    found: Plans = json.loads(made.run("-m", "benchmarks.speed.drainer", "--plans"))
    return found


def _compared(empty: Plans, full: Plans) -> list[str]:
    both = sorted(empty.keys() & full.keys())
    other = [statement for statement in both if empty[statement] != full[statement]]
    same = len(both) - len(other)
    lines = ["", f"Plans: {same} of {len(both)} statements are done in the same way in both."]
    for statement in other:
        lines += ["", f"- `{statement} …`: empty {empty[statement]}, full {full[statement]}."]
    return lines


def _write(
    server: str,
    finished: int,
    asleep: int,
    pairs: list[list[dict[str, float]]],
    plans: list[str],
) -> None:
    lines = [
        "# Flat: the same work in an empty and in a full database",
        "",
        f"`PART=flat make prove`, {clock.now():%Y-%m-%d}, share {SHARE:g} of the full size. "
        f"{machine.shape(server)}. {RUNS:,} runs of a filter and two HTTP calls, worked off by one "
        f"process, {PAIRS} pairs in turns. Full: {finished:,} finished runs with their timelines "
        f"and {asleep:,} delays asleep.",
        "",
        "| pair | empty, runs/s | full, runs/s | ratio | buffers/run, empty | full |",
        "|---|---|---|---|---|---|",
    ]
    for number, (empty, full) in enumerate(pairs, 1):
        lines.append(
            f"| {number} | {empty['per_second']:.0f} | {full['per_second']:.0f} | "
            f"{full['per_second'] / empty['per_second']:.2f} | {empty['buffers']:.0f} | "
            f"{full['buffers']:.0f} |"
        )
    ratio = statistics.median(full["per_second"] / empty["per_second"] for empty, full in pairs)
    buffers = statistics.median(full["buffers"] / empty["buffers"] for empty, full in pairs)
    lines += ["", f"Median ratio of runs/s {ratio:.2f}, of buffers by run {buffers:.2f}."]
    lines += plans
    RESULT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines[-8:]), f"\nWritten to {RESULT.relative_to(ROOT)}")
