"""Filling the tables by SQL: what millions of posts would have left behind."""

import json
from typing import Any

import psycopg

from benchmarks.speed.shop import BODY

EVENTS = """
INSERT INTO engine_event (connector_id, source, state, received_at, content_type, form, body,
                          query, error)
SELECT %(connector)s, 'webhook', 'accepted', now(), 'application/json', 'json',
       replace(replace(%(body)s, '"number": 0', '"number": ' || n),
               '+4915100000000', '+49151' || lpad(n::text, 8, '0')), '{}', ''
FROM generate_series(%(first)s::int, %(last)s::int) AS n
RETURNING id
"""
RUNS = """
INSERT INTO engine_run (event_id, connector_id, revision_id, state, wake_at, started_at, position,
                        passage, attempts, values, error, lease_owner, lease_epoch, cause, cause_id)
SELECT id, %(connector)s, %(revision)s, %(state)s, now(), now(), %(position)s,
       1, 0, '{}', '', '', 0, 'event', id FROM event RETURNING id
"""
DELAYS = """
INSERT INTO engine_delay (run_id, connector_id, action_uid, label, identifier, wake_at, state,
                          created_at)
SELECT id, %(connector)s, gen_random_uuid(), 'Delay', '',
       now() + %(soonest)s::interval + random() * (%(latest)s::interval - %(soonest)s::interval),
       'waiting', now()
FROM run
"""
TIMELINE = """
INSERT INTO engine_attempt (run_id, passage, step_name, kind, label, result, note, went_in,
                            came_out, missing, at, duration_us)
SELECT run.id, 1, 'Step 1', 'http_api', 'First', 'done', '200 OK', '{}', '{}', '[]', now(), 1500
FROM run, generate_series(1, 3)
"""


def due_runs(database: str, flow: dict[str, Any], first: int, last: int) -> None:
    """Events numbered `first` to `last`, each with a run that is due now."""
    _execute(
        database,
        f"WITH event AS ({EVENTS}) {RUNS}",
        {**_values(flow, first, last), "state": "due", "position": -1},
    )


def one_run(connection: Any, flow: dict[str, Any], number: int) -> int:
    """One event and its run, as the webhook stores them; the run's id."""
    values = {**_values(flow, number, number), "state": "due", "position": -1}
    statement = f"WITH event AS ({EVENTS}), run AS ({RUNS}) SELECT id FROM run"
    (run,) = connection.execute(statement, values).fetchone()
    connection.execute("SELECT pg_notify('switchboard_due', '')")
    return int(run)


def sleeping_runs(
    database: str, flow: dict[str, Any], count: int, soonest: str, latest: str
) -> None:
    """Runs asleep in a delay each, that wake at times spread between two intervals from now."""
    _execute(
        database,
        f"WITH event AS ({EVENTS}), run AS ({RUNS}) {DELAYS}",
        {
            **_values(flow, 1, count),
            "state": "waiting",
            "position": 0,
            "soonest": soonest,
            "latest": latest,
        },
    )


def finished_runs(database: str, flow: dict[str, Any], count: int) -> None:
    """Runs that ended long ago, each with a timeline of three entries."""
    _execute(
        database,
        f"WITH event AS ({EVENTS}), run AS ({RUNS}) {TIMELINE}",
        {**_values(flow, 1, count), "state": "done", "position": 3},
    )


def _values(flow: dict[str, Any], first: int, last: int) -> dict[str, Any]:
    return {
        "connector": flow["connector"],
        "revision": flow["revision"],
        "body": json.dumps(BODY),
        "first": first,
        "last": last,
    }


def _execute(database: str, statement: str, values: dict[str, Any]) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(statement, values)  # type: ignore[call-overload]
        connection.execute("ANALYZE engine_event, engine_run, engine_delay")
