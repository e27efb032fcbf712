"""From due to running: delays among a million others, and single events in a flood."""

import time
from typing import Any

import psycopg

from benchmarks.speed import backlog
from benchmarks.speed.complete import stop
from tests.installation import Installation


def wake(installation: Installation, flow: dict[str, Any], asleep: int, due: int) -> list[float]:
    """Milliseconds from the due time of each of `due` delays, spread over half a minute, to the
    next action of its run, while `asleep` others sleep on."""
    database = installation.env["DATABASE_URL"]
    backlog.sleeping_runs(database, flow, asleep, "30 days", "300 days")
    worker = installation.work()
    time.sleep(5)  # the workers start
    backlog.sleeping_runs(database, flow, due, "3 seconds", "33 seconds")
    ids = "SELECT max(id) FROM engine_run"
    last = int(installation.query(ids)[0][0])
    time.sleep(35)
    late = installation.query(
        "SELECT extract(epoch FROM attempt.at - delay.wake_at) * 1000 FROM engine_delay AS delay"
        " JOIN engine_attempt AS attempt ON attempt.run_id = delay.run_id"
        f" WHERE delay.run_id > {last - due}"
    )
    stop(worker)
    assert len(late) == due, f"{len(late)} of {due} delays woke"
    return sorted(float(ms) for (ms,) in late)


def flood(
    installation: Installation,
    busy: dict[str, Any],
    single: dict[str, Any],
    runs: int,
    samples: int,
) -> list[float]:
    """Milliseconds that single events of one connector take from being stored to the end of their
    run, while `runs` runs of another connector are due."""
    database = installation.env["DATABASE_URL"]
    backlog.due_runs(database, busy, 1, runs)
    worker = installation.work()
    time.sleep(5)
    took = []
    with psycopg.connect(database, autocommit=True) as connection:
        for number in range(samples):
            time.sleep(0.25)
            run = backlog.one_run(connection, single, number)
            took.append(_milliseconds(connection, run))
        left = connection.execute(
            "SELECT count(*) FROM engine_run WHERE connector_id = %s AND state = 'due'",
            [busy["connector"]],
        ).fetchone()
    assert left and left[0] > runs // 10, "The flood was over before the samples were"
    stop(worker)
    return sorted(took)


def _milliseconds(connection: Any, run: int) -> float:
    while True:
        (ms,) = connection.execute(
            "SELECT extract(epoch FROM finished_at - started_at) * 1000 FROM engine_run"
            " WHERE id = %s",
            [run],
        ).fetchone()
        if ms is not None:
            return float(ms)
        time.sleep(0.01)
