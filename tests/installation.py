"""A real installation for tests: its own directory, database, keys and processes."""

import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parent.parent


class Installation:
    """Set up and ready to serve; `close()` ends what was started."""

    def __init__(self, home: Path, database_url: str = "") -> None:
        self.home = home
        self.log = home / "log.txt"
        # Open before anything serves: who posts early waits in the queue of the socket.
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SWITCHBOARD_")}
        self.env = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": database_url,
            "SWITCHBOARD_DATA_DIR": str(home),
            "SWITCHBOARD_URL": self.url,
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.manage("setup", "--keep-password")

    def manage(self, *args: str) -> str:
        """Run a command of manage.py to its end; returns what it printed."""
        return self.run("manage.py", *args)

    def python(self, code: str) -> Any:
        """Run `code` inside the installation; returns the JSON value that it printed, if any."""
        printed = self.run("-c", f"import json, django\ndjango.setup()\n{code}")
        return json.loads(printed) if printed else None

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that a query of the database gives; quicker than starting Django."""
        url = self.env["DATABASE_URL"]
        database: Any = (
            psycopg.connect(url) if url else sqlite3.connect(self.home / "switchboard.sqlite3")
        )
        with closing(database):
            return [tuple(row) for row in database.execute(sql).fetchall()]

    def serve(self) -> str:
        """Serve pages and webhooks as `manage.py web` does; returns the address."""
        descriptor = self.listener.fileno()
        self._start(
            "-m",
            "gunicorn",
            "--config=python:config.gunicorn",
            f"--bind=fd://{descriptor}",
            pass_fds=[descriptor],
        )
        return self.url

    def work(self, *command: str) -> subprocess.Popen[bytes]:
        """Start the background workers, or a `command` of Python in their place."""
        return self._start(*(command or ("manage.py", "work")))

    def close(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.listener.close()

    def run(self, *args: str) -> str:
        """Run Python with these arguments to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, *args], cwd=ROOT, env=self.env, capture_output=True, text=True
        )
        if done.returncode:
            raise AssertionError(f"{args[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def _start(self, *args: str, pass_fds: list[int] | None = None) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *args],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds or (),
            )
        self.processes.append(process)
        return process


@contextmanager
def installed(home: Path, server: str = "") -> Iterator[Installation]:
    """An installation in `home`: on the embedded database, or on a database of its own that is
    made, and dropped afterwards, on the PostgreSQL `server`."""
    with own_database(server) as database_url:
        installation = None
        try:
            installation = Installation(home, database_url)
            yield installation
        finally:
            if installation is not None:
                installation.close()


@contextmanager
def own_database(server: str) -> Iterator[str]:
    if not server:
        yield ""
        return
    name = f"switchboard_{secrets.token_hex(6)}"
    base, _, query = server.partition("?")
    url = base.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield url
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
