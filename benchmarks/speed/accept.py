"""Accepted events a second: wrk posts orders to the webhook of a real installation."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol

from benchmarks.speed.shop import BODY

CLIENTS = 20


class Served(Protocol):
    """An installation that answers, or whatever else has an address and a directory."""

    home: Path
    url: str


def accept(
    installation: Served, flow: dict[str, Any], seconds: int, mark: str = "e"
) -> dict[str, float]:
    """Post for `seconds`, events named <mark>-1, <mark>-2, …; {"requests", "per_second", "p50_ms",
    "p99_ms", "refused"}."""
    script = installation.home / "post.lua"
    before, after = json.dumps(BODY | {"event_id": f"{mark}-<n>"}).split("<n>")
    script.write_text(
        "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nlocal n = 0\n"
        f"local before, after = {json.dumps(before)}, {json.dumps(after)}\n"
        "function request() n = n + 1; return wrk.format(nil, nil, nil, before .. n .. after) end\n"
    )
    done = subprocess.run(
        [
            "wrk",
            "--threads=1",
            f"--connections={CLIENTS}",
            f"--duration={seconds}s",
            "--latency",
            f"--script={script}",
            f"{installation.url}/hooks/{flow['token']}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    return {
        "requests": float(_found(r"(\d+) requests in", done)),
        "per_second": float(_found(r"Requests/sec:\s+([\d.]+)", done)),
        "p50_ms": _milliseconds(_found(r"\n +50% +(\S+)", done)),
        "p99_ms": _milliseconds(_found(r"\n +99% +(\S+)", done)),
        "refused": float(refused[1]) if refused else 0,
    }


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def pgbench_inserts(database: str, seconds: int, directory: Path) -> float | None:
    """One-row INSERTs a second of as many clients: what the database itself can take."""
    pgbench = shutil.which("pgbench") or next(
        map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))), None
    )
    if pgbench is None:
        return None
    script = directory / "insert.sql"
    script.write_text(
        "INSERT INTO benchmark_event (body, at) VALUES "
        f"('{json.dumps(BODY)}', now()) RETURNING id;\n"
    )
    table = "CREATE TABLE IF NOT EXISTS benchmark_event (id bigserial PRIMARY KEY, body text, at "
    subprocess.run(["psql", "-q", database, "-c", f"{table}timestamptz)"], check=True)
    done = subprocess.run(
        [pgbench, "-n", "-c", str(CLIENTS), "-j", "1", "-T", str(seconds), "-f", script, database],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return float(_found(r"tps = ([\d.]+)", done))
