"""make prove, the speed part: measures a real installation on PostgreSQL and writes figures.md."""

import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apps.core import clock
from benchmarks.speed import accept, complete, machine, waking
from benchmarks.speed.posting import at
from tests.installation import ROOT, Installation, installed

RESULT = Path(__file__).parent.parent / "figures.md"
# A smaller share is a quick look: the shapes of the figures, not the figures.
SHARE = float(os.environ.get("PROVE_SHARE", "1"))


def of(number: int) -> int:
    return max(int(number * SHARE), 20)


def main(server: str) -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("The figures need wrk (Debian's package wrk).")
    sections = [
        head(server),
        accepting(server),
        completing(server),
        waking_among_many(server),
        flooded(server),
    ]
    RESULT.write_text("\n\n".join(sections) + "\n")
    print(f"Written to {RESULT.relative_to(ROOT)}")


@contextmanager
def fresh(server: str) -> Iterator[Installation]:
    """A new installation with the inbound limit lifted."""
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as home, installed(Path(home), server) as installation:
        installation.env["SWITCHBOARD_INBOUND_PER_MINUTE"] = "100000000"
        yield installation


def published(installation: Installation, name: str) -> Any:
    return json.loads(installation.run("-m", "benchmarks.speed.shop", name))


def head(server: str) -> str:
    return (
        "# Figures: the engine on PostgreSQL\n\n"
        f"`make prove`, {clock.now():%Y-%m-%d}, share {SHARE:g} of the full size. "
        f"{machine.shape(server)}. Web: 2 gunicorn processes with 8 threads; workers: "
        "`manage.py work` with 2 drains. The full timeline is kept; the inbound limit is lifted."
    )


def accepting(server: str) -> str:
    """Events accepted, with and without workers doing their runs; pgbench for context."""
    lines = [
        "## Accepted events",
        "",
        f"{accept.CLIENTS} clients, an order of {len(json.dumps(accept.BODY))} bytes, answered 202 "
        "when its event and run are committed. *pgbench*: one-row INSERTs of the same body by as "
        "many clients, in the same minute.",
        "",
        "| workers | accepted/s | p50 ms | p99 ms | refused | pgbench INSERTs/s |",
        "|---|---|---|---|---|---|",
    ]
    seconds = of(20)
    with fresh(server) as installation:
        flow = published(installation, "one")
        installation.serve()
        accept.accept(installation, flow, 3)  # warm up
        for workers in ("none", "doing the runs"):
            worker = installation.work() if workers != "none" else None
            got = accept.accept(installation, flow, seconds)
            if worker is not None:
                complete.stop(worker)
            plain = accept.pgbench_inserts(
                installation.env["DATABASE_URL"], seconds, installation.home
            )
            lines.append(
                f"| {workers} | {got['per_second']:.0f} | {got['p50_ms']:.1f} | "
                f"{got['p99_ms']:.1f} | {got['refused']:.0f} | "
                f"{f'{plain:.0f}' if plain else 'not installed'} |"
            )
            print(lines[-1], flush=True)
    return "\n".join(lines)


def completing(server: str) -> str:
    runs = of(10_000)
    lines = [
        "## Completed runs",
        "",
        f"{runs:,} due runs, each with a new contact by field mapping and six actions that write "
        "(add a tag, set two attributes, add and remove a tag, clear an attribute): seven timeline "
        "entries. CPU by run, of all worker processes together and of PostgreSQL.",
        "",
        "| pass | completed/s | worker ms/run | PostgreSQL ms/run |",
        "|---|---|---|---|",
    ]
    rates = []
    for number in (1, 2, 3):
        with fresh(server) as installation:
            got = complete.complete(installation, published(installation, "six"), runs)
        rates.append(got["per_second"])
        lines.append(
            f"| {number} | {got['per_second']:.0f} | {got['worker_ms']:.2f} | "
            f"{got['postgres_ms']:.2f} |"
        )
        print(lines[-1], flush=True)
    lines += ["", f"Median {statistics.median(rates):.0f} runs/s."]
    return "\n".join(lines)


def waking_among_many(server: str) -> str:
    asleep, due = of(1_000_000), 200
    with fresh(server) as installation:
        late = waking.wake(installation, published(installation, "one"), asleep, due)
    text = (
        "## Due to running\n\n"
        f"{due} delays that end within half a minute, among {asleep:,} that sleep on; from the due "
        "time to the next action of the run, in milliseconds: "
        f"p50 {at(late, 50):.1f}, p99 {at(late, 99):.1f}, max {late[-1]:.1f}."
    )
    print(text, flush=True)
    return text


def flooded(server: str) -> str:
    runs, samples = of(50_000), 20
    with fresh(server) as installation:
        six, one = (published(installation, name) for name in ("six", "one"))
        took = waking.flood(installation, six, one, runs, samples)
    text = (
        "## A flood beside single events\n\n"
        f"{runs:,} due runs of one connector; meanwhile {samples} single events of another, one "
        "at a time, from stored to done, in milliseconds: "
        f"p50 {at(took, 50):.0f}, max {took[-1]:.0f}."
    )
    print(text, flush=True)
    return text
