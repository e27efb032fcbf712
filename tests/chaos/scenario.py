"""Setting a scenario up, disturbing it, waiting for its end, checking the report."""

import atexit
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Self

import psycopg

ROOT = Path(__file__).resolve().parents[2]


class Scenario:
    """An installation in a directory of its own, on SQLite or in a new PostgreSQL database."""

    def __init__(
        self, postgresql: str | None, runs: int, seconds: int = 2, delays: int = 1
    ) -> None:
        self.server = postgresql
        self.directory = Path(tempfile.mkdtemp(prefix="switchboard-chaos-"))
        self.faults = self.directory / "faults"
        self.faults.mkdir()
        self.environment = _environment(self.directory)
        self._worker: subprocess.Popen[bytes] | None = None
        self._point = "nowhere"
        template = seeded_template(postgresql, runs, seconds, delays)
        if postgresql:
            self.database = f"switchboard_chaos_{uuid.uuid4().hex[:12]}"
            base, _, _ = postgresql.rpartition("/")
            self.environment["DATABASE_URL"] = f"{base}/{self.database}"
            _on_server(postgresql, f"CREATE DATABASE {self.database} TEMPLATE {template}")
        else:
            shutil.copy(template, self.directory / "switchboard.sqlite3")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill_everything()
        if self.server:
            _on_server(self.server, f"DROP DATABASE {self.database} WITH (FORCE)")
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- disturbing ------------------------------------------------------------------------------

    def arm(self, faults: int, fault: str = "kill") -> None:
        for number in range(faults):
            (self.faults / f"{fault}-{number}").touch()

    def start(self, shape: str, point: str = "nowhere") -> None:
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.worker", shape, point, str(self.faults)],
            env=self.environment,
            cwd=ROOT,
            process_group=0,
            stderr=subprocess.DEVNULL,
        )

    def alive(self) -> bool:
        return self._worker is not None and self._worker.poll() is None

    def kill_everything(self) -> None:
        """kill -9 of the whole cluster at once."""
        if self._worker is not None:
            with_children = descendants(self._worker.pid)
            for pid in with_children:
                _kill(pid)
            self._worker.wait()

    def wait_for_the_fault(self, limit: float) -> None:
        """Until the worker is dead or hangs."""
        assert self._worker is not None
        begun = time.monotonic()
        while self.alive() and _state(self._worker.pid) != "T":
            assert time.monotonic() - begun < limit, "The worker never came to its fault"
            time.sleep(0.02)

    def wake_up(self) -> None:
        """Let a worker that hangs go on where it was."""
        assert self._worker is not None
        os.kill(self._worker.pid, signal.SIGCONT)

    def kill_one_process(self, chance: random.Random) -> None:
        """kill -9 of any one process below the supervisor."""
        assert self._worker is not None
        below = descendants(self._worker.pid)[1:]
        if below:
            _kill(chance.choice(below))

    # --- watching --------------------------------------------------------------------------------

    def count(self, table: str, where: str) -> int:
        """Rows, read past the product so that watching costs next to nothing."""
        query = f"SELECT count(*) FROM {table} WHERE {where}"
        if self.server:
            with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
                row = connection.execute(query).fetchone()  # type: ignore[call-overload]
                return int(row[0])
        with closing(sqlite3.connect(self.directory / "switchboard.sqlite3", timeout=20)) as file:
            return int(file.execute(query).fetchone()[0])

    def open(self) -> int:
        """Runs and messages that have not ended."""
        return self.count("engine_run", "state IN ('due', 'leased', 'waiting')") + self.count(
            "messaging_message", "state IN ('queued', 'leased', 'sending')"
        )

    def ended(self) -> int:
        """Timeline entries and settled messages: grows with any progress."""
        return self.count("engine_attempt", "true") + self.count(
            "messaging_message", "settled_at IS NOT NULL"
        )

    def wait_for_the_end(self, shape: str, limit: float, restart: bool = True) -> float:
        """Until nothing is open, starting the worker again whenever it has died; returns the
        seconds that took. The limit only guards against hanging."""
        begun = time.monotonic()
        while time.monotonic() - begun < limit:
            if restart and not self.alive():
                self.start(shape, self._point)
            if not self.open():
                return time.monotonic() - begun
            time.sleep(0.05)
        raise AssertionError(f"Still open after {limit} s: {self.report()}")

    def recover(self, shape: str, limit: float) -> float:
        """Start the worker again after a kill; returns the seconds until there is progress."""
        before = self.ended()
        begun = time.monotonic()
        self.start(shape, self._point)
        while self.ended() == before and self.open():
            assert time.monotonic() - begun < limit, "No progress after a restart"
            time.sleep(0.01)
        return time.monotonic() - begun

    def run_through(self, shape: str, point: str, kills: int, limit: float) -> dict[str, Any]:
        """Die `kills` times at `point`, restart each time, and report."""
        self.arm(kills)
        self._point = point
        self.start(shape, point)
        self.wait_for_the_end(shape, limit)
        assert not list(self.faults.iterdir()), f"The worker never came to die {point!r}"
        return self.report()

    def cancel_all_and_post(self, runs: int) -> int:
        """Cancel every open run, then post new events; returns how many runs were cancelled."""
        return int(_python(self.environment, "-m", "tests.chaos.flow", "cancel", str(runs)))

    def report(self) -> dict[str, Any]:
        return json.loads(_python(self.environment, "-m", "tests.chaos.flow", "report"))  # type: ignore[no-any-return]


@cache
def seeded_template(postgresql: str | None, runs: int, seconds: int, delays: int) -> str:
    """A migrated and seeded database that scenarios are copied from: made once per process."""
    directory = Path(tempfile.mkdtemp(prefix="switchboard-chaos-template-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    environment = _environment(directory)
    database = f"switchboard_chaos_template_{uuid.uuid4().hex[:12]}"
    if postgresql:
        base, _, _ = postgresql.rpartition("/")
        environment["DATABASE_URL"] = f"{base}/{database}"
        _on_server(postgresql, f"CREATE DATABASE {database}")
        atexit.register(_on_server, postgresql, f"DROP DATABASE {database} WITH (FORCE)")
    _python(environment, "manage.py", "migrate", "-v0")
    _python(environment, "-m", "tests.chaos.flow", "seed", *map(str, (runs, seconds, delays)))
    return database if postgresql else str(directory / "switchboard.sqlite3")


def _environment(directory: Path) -> dict[str, str]:
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("SWITCHBOARD")},
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": str(ROOT),
        "SWITCHBOARD_DATA_DIR": str(directory),
        "SWITCHBOARD_SECRET_KEY": "chaos" * 20,
        "SWITCHBOARD_ALLOWED_HOSTS": "testserver",
        "SWITCHBOARD_LOG_LEVEL": "CRITICAL",
        "DATABASE_URL": "",
    }


def _python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _on_server(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def check(report: dict[str, Any], runs: int, delays: int = 1) -> None:
    """Everything once; what is missing on the phone is exactly what is listed as unknown."""
    assert report["runs"] == {"done": runs}
    story = ["Field mapping", "Add Tag", "Send Message", *["Delay"] * delays]
    assert report["runs_by_story"] == {" > ".join([*story, "Ask again", "Tag again"]): runs}
    assert report["contacts"] == runs
    assert report["tags"] == {"first": runs, "second": runs}
    assert report["delays"] == {"fired": delays * runs}
    assert sum(report["messages"].values()) == report["texts"] == 2 * runs
    assert set(report["messages"]) <= {"sent", "unknown"}
    assert report["on_phone_twice"] == []
    assert report["missing"] == report["unknown"]


def descendants(pid: int) -> list[int]:
    """`pid` and all processes below it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def _state(pid: int) -> str:
    """The kernel's letter for what a process does: R, S, T (stopped), Z …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def processes_with(variable: str, value: str) -> list[int]:
    """Processes, zombies apart, that run with this in their environment."""
    wanted = f"{variable}={value}".encode()
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
