"""make prove, the first part: kills at full size, written to benchmarks/durability.md.

PROVE_RUNS (5000) runs in each scenario; PostgreSQL where one answers (see tests/run.py).
"""

import os
import platform
import random
import time
from pathlib import Path

from apps.core import clock
from tests.chaos.scenario import Scenario, check
from tests.chaos.worker import POINTS

RUNS = int(os.environ.get("PROVE_RUNS", "5000"))
LIMIT = 1800
RESULT = Path(__file__).parent / "durability.md"


def named_point(server: str, point: str) -> list[object]:
    """One worker process that dies three times at `point`."""
    kills = 1 if point == "after waking" else 3
    with Scenario(server or None, RUNS) as scenario:
        begun = time.monotonic()
        report = scenario.run_through("process", point, kills, LIMIT)
        check(report, RUNS)
        return [point, kills, *_figures(report), "", f"{time.monotonic() - begun:.0f}"]


def random_kills(server: str, times: int = 6) -> list[object]:
    """A cluster killed at random moments, now one process of it, now the whole."""
    chance = random.Random(20260302)
    recovered = []
    with Scenario(server or None, RUNS) as scenario:
        begun = time.monotonic()
        scenario.start("cluster")
        for number in range(times):
            time.sleep(chance.uniform(1.0, 4.0))
            if not scenario.open():
                break
            scenario.kill_one_process(chance)
            time.sleep(chance.uniform(0.0, 0.5))
            if number % 2:
                scenario.kill_everything()
                recovered.append(scenario.recover("cluster", LIMIT))
        scenario.wait_for_the_end("cluster", LIMIT)
        report = scenario.report()
        check(report, RUNS)
        recovery = f"{max(recovered):.1f}" if recovered else ""
        kills = f"{times} one process, {len(recovered)} whole cluster"
        took = f"{time.monotonic() - begun:.0f}"
        return ["at random", kills, *_figures(report), recovery, took]


def _figures(report: dict[str, dict[str, int]]) -> list[object]:
    messages = report["messages"]
    return [
        report["runs"]["done"],
        messages.get("sent", 0),
        messages.get("unknown", 0),
        len(report["on_phone_twice"]),
    ]


HEAD = ["killed", "kills", "runs done", "sent", "unknown", "twice", "recovery s", "total s"]


def main(server: str) -> None:
    lines = [
        "# Durability: workers killed with `kill -9`",
        "",
        f"`make prove`, {clock.now():%Y-%m-%d}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}. Each row is {RUNS:,} runs: tag, send, wait two seconds, "
        "send, tag. After it every run has ended; each tag, message row, delay and timeline entry "
        "is there exactly once; no message stands on the phone twice; and the messages missing "
        "there are exactly those listed as *outcome unknown*. Recovery: the longest time from "
        "starting a killed cluster again to the first new progress.",
    ]
    for title, url in [("SQLite", ""), ("PostgreSQL", server)]:
        if title == "PostgreSQL" and not server:
            continue
        lines += ["", f"## {title}", "", "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
        for point in [*POINTS, None]:
            cells = named_point(url, point) if point else random_kills(url)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
            print(title, *cells, flush=True)
            RESULT.write_text("\n".join(lines) + "\n")
    print(f"Written to {RESULT.relative_to(Path.cwd())}")
