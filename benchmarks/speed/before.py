"""make prove, PART=before BEFORE=<commit>: this tree beside an earlier one, in pairs in one run, so
that whatever else the machine does hits both. Written to before.md.

Both run in the production shape (benchmarks/target.py) on databases of their own of one server, and
call one echo; only one has work at a time. The earlier tree is checked out beside this one (BEFORE
may also be the folder of one that is), and gets packages of its own if its lock file differs.
BEFORE_PAIRS (5) is the number of pairs, each of two measurements on either side.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import fmean, median
from typing import Any

import psycopg

from apps.core import clock
from benchmarks.speed import accept, machine
from benchmarks.speed.complete import OPEN
from benchmarks.speed.echo import Echo
from benchmarks.speed.posting import Posts, at
from benchmarks.speed.shop import BODY
from tests.installation import ROOT, own_database

RESULT = Path(__file__).parent.parent / "before.md"
PAIRS = int(os.environ.get("BEFORE_PAIRS", "5"))
F1_SECONDS, F2_SECONDS, CALM_SECONDS, CALM_RATE = 6, 4, 30, 10
LIMIT = 300  # only guards against hanging
# What is measured; of those marked, less is better.
FIGURES = {
    "F1: accepted/s": False,
    "F1: CPU ms/post": True,
    "F2: completed/s": False,
    "F2: CPU ms/run": True,
    "first call: p50 ms": True,
    "first call: p99 ms": True,
    "memory MB": True,
}


class Product:
    """One of the two, running until closed."""

    def __init__(self, tree: Path, home: Path, database: str, echo: Echo) -> None:
        self.home, self.database, self.echo = home, database, echo
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        env |= {"DATABASE_URL": database, "SWITCHBOARD_DATA_DIR": str(home)}
        env |= {"SWITCHBOARD_URL": self.url, "ECHO_URL": echo.url}
        command = [_python(tree), "-m", "benchmarks.target"]
        with (home / "log.txt").open("wb") as log:
            self.process = subprocess.Popen(command, cwd=tree, env=env, stdout=log, stderr=log)
        self._wait_for(self._listens)
        time.sleep(3)

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def measure(self, mark: str) -> dict[str, float]:
        """One figure of each kind."""
        before = self._cpu()
        posts = accept.accept(self, {"token": "bench-f1"}, F1_SECONDS)
        self._idle()
        figures = {
            "F1: accepted/s": posts["per_second"],
            "F1: CPU ms/post": (self._cpu() - before) * 1000 / posts["requests"],
        }
        figures |= self._flood(f"{mark}-flood")
        figures |= self._calm(f"{mark}-calm")
        return figures | {"memory MB": machine.pss_megabytes(self.process.pid)}

    def _flood(self, mark: str) -> dict[str, float]:
        """More F2 events than it can do; each must be done once."""
        begun, before = time.monotonic(), self._cpu()
        posts = accept.accept(self, {"token": "bench-f2"}, F2_SECONDS, mark)
        self._idle()
        cpu = self._cpu() - before
        asked = self.echo.asked_at.items()
        done = [moment for path, moment in asked if path.startswith(f"/second/{mark}-")]
        assert len(done) >= posts["requests"], f"{posts['requests'] - len(done)} events were lost"
        return {
            "F2: completed/s": len(done) / (max(done) - begun),
            "F2: CPU ms/run": cpu * 1000 / len(done),
        }

    def _calm(self, mark: str) -> dict[str, float]:
        posts = Posts(self, "bench-f2", CALM_RATE, CALM_SECONDS, lambda n: f"{mark}-{n}")
        posts.more = lambda n: BODY | {"event_id": f"{mark}-{n}"}
        posts.run()
        self._idle()
        asked = self.echo.asked_at
        took = sorted((asked[f"/first/{path}"] - sent) * 1000 for path, sent in posts.sent.items())
        return {"first call: p50 ms": at(took, 50), "first call: p99 ms": at(took, 99)}

    def _cpu(self) -> float:
        return machine.cpu_seconds(self.process.pid) + machine.postgres_cpu_seconds(self.database)

    def _idle(self) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            self._wait_for(lambda: connection.execute(OPEN).fetchone() == (0,))

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def _wait_for(self, true: Any) -> None:
        until = time.monotonic() + LIMIT
        while not true():
            assert time.monotonic() < until and self.process.poll() is None, self.home / "log.txt"
            time.sleep(0.1)


def main(server: str) -> None:
    base = os.environ.get("BEFORE") or sys.exit("BEFORE names the commit to be measured beside.")
    pairs = []
    with ExitStack() as stack:
        homes = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(3)]
        earlier = _checked_out(base, homes.pop() / "tree", stack)
        commit = _git("rev-parse", "--short", "HEAD", tree=earlier)
        echo, products = Echo(), []
        for tree, home in zip((earlier, ROOT), homes, strict=True):
            database = stack.enter_context(own_database(server))
            product = Product(tree, home, database, echo)
            stack.callback(product.close)
            product.measure("warm")
            products.append(product)
        for number in range(PAIRS):
            pairs.append(_pair(products, number))
            print({name: f"{_ratio(pairs[-1], name):.2f}" for name in FIGURES}, flush=True)
    _write(server, commit, pairs)


def _pair(products: list[Product], number: int) -> list[dict[str, float]]:
    """Before and now, each the mean of two: whoever comes after a flood of the other finds a busier
    disk, so they go A B B A, and the next time B A A B."""
    order = [0, 1, 1, 0] if number % 2 else [1, 0, 0, 1]
    told: list[list[dict[str, float]]] = [[], []]
    for turn, side in enumerate(order):
        told[side].append(products[side].measure(f"{number}-{turn}"))
    return [{name: fmean(each[name] for each in two) for name in FIGURES} for two in told]


def _checked_out(base: str, tree: Path, stack: ExitStack) -> Path:
    if Path(base).is_dir():
        return Path(base).resolve()
    _git("worktree", "add", "--detach", str(tree), base)
    stack.callback(_git, "worktree", "remove", "--force", str(tree))
    return tree


def _git(*arguments: str, tree: Path = ROOT) -> str:
    told = subprocess.run(["git", *arguments], cwd=tree, check=True, capture_output=True, text=True)
    return told.stdout.strip()


def _python(tree: Path) -> str:
    """With this tree's packages, or with its own if it wants others."""
    lock = "requirements.lock"
    if (tree / lock).read_text() == (ROOT / lock).read_text():
        return sys.executable
    subprocess.run(["make", "-C", tree, ".venv/.installed"], check=True)
    return str(tree / ".venv/bin/python")


def _ratio(pair: list[dict[str, float]], name: str) -> float:
    """How much better it is now: above 1 is better."""
    before, now = (figures[name] for figures in pair)
    return before / now if FIGURES[name] else now / before


def _write(server: str, base: str, pairs: list[list[dict[str, float]]]) -> None:
    lines = [
        "# Before and now",
        "",
        f"`PART=before BEFORE={base} make prove`, "
        f"{clock.now():%Y-%m-%d}, {len(pairs)} pairs. "
        f"{machine.shape(server)}. F1: {F1_SECONDS} s of posts by {accept.CLIENTS} clients; "
        f"F2: {F2_SECONDS} s of them, until all are done; first call: posts at {CALM_RATE} a "
        f"second for {CALM_SECONDS} s. CPU is that of all its processes and of PostgreSQL. "
        "Better: the median of the pairs' ratios, and the range of them; above 1 is better now.",
        "",
        "| figure (medians) | before | now | better | from | to |",
        "|---|---|---|---|---|---|",
    ]
    for name in FIGURES:
        before, now = (median(pair[side][name] for pair in pairs) for side in (0, 1))
        ratios = sorted(_ratio(pair, name) for pair in pairs)
        lines.append(
            f"| {name} | {before:.1f} | {now:.1f} | **{median(ratios):.2f}** | "
            f"{ratios[0]:.2f} | {ratios[-1]:.2f} |"
        )
    RESULT.write_text("\n".join(lines) + "\n")
    print(f"Written to {RESULT.relative_to(ROOT)}")
