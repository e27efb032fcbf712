"""Completed runs a second, and what a run costs in CPU."""

import time
from typing import Any

from benchmarks.speed import backlog, machine
from tests.installation import Installation

OPEN = "SELECT count(*) FROM engine_run WHERE state IN ('due', 'leased')"


def complete(installation: Installation, flow: dict[str, Any], runs: int) -> dict[str, float]:
    """Let the workers do `runs` due runs; {"per_second", "worker_ms", "postgres_ms"}, the CPU
    times by run. The clock runs from the first to the last 5 % done, so that neither the start
    of the workers nor the tail counts."""
    backlog.due_runs(installation.env["DATABASE_URL"], flow, 1, runs)
    worker = installation.work()
    begin, end = runs * 95 // 100, runs * 5 // 100
    wait_until(installation, begin)
    first = (_open(installation), time.monotonic(), *_cpu(installation, worker.pid))
    wait_until(installation, end)
    last = (_open(installation), time.monotonic(), *_cpu(installation, worker.pid))
    wait_until(installation, 0)
    stop(worker)
    done, seconds, of_worker, of_postgres = (
        first[0] - last[0],
        *(after - before for before, after in zip(first[1:], last[1:], strict=True)),
    )
    return {
        "per_second": done / seconds,
        "worker_ms": of_worker / done * 1000,
        "postgres_ms": of_postgres / done * 1000,
    }


def wait_until(installation: Installation, left: int, limit: float = 900) -> None:
    until = time.monotonic() + limit
    while _open(installation) > left:
        assert time.monotonic() < until, f"{_open(installation)} runs are still open"
        time.sleep(0.05)


def stop(worker: Any) -> None:
    worker.terminate()
    worker.wait(30)


def _open(installation: Installation) -> int:
    return int(installation.query(OPEN)[0][0])


def _cpu(installation: Installation, pid: int) -> tuple[float, float]:
    of_postgres = machine.postgres_cpu_seconds(installation.env["DATABASE_URL"])
    return machine.cpu_seconds(pid), of_postgres
