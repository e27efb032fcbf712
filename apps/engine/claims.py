"""Taking due runs: fair over connectors, and suspects alone."""

from collections.abc import Collection

from django.db import connection

from apps.core import clock
from apps.core.due import is_postgresql, moment, skip_locked
from apps.engine.models import Run

# 1 claim among others, then 5 alone; the next one ends the run as poison.
MAX_ATTEMPTS = 6
_COUNT = ", attempts = attempts + 1"
_last_lane = 0


def claim_batch(limit: int = 20, but_not: Collection[int] = ()) -> list[Run]:
    """Lease due runs that nobody has claimed in vain, the same number for each connector that has
    any, so that a flood on one can't hold up the others. Connectors in `but_not` get none."""
    lanes = [lane for lane in _next_lanes(limit + len(but_not)) if lane not in but_not]
    if not lanes:
        return []
    quota = -(-limit // len(lanes))
    now = moment(clock.now())
    if is_postgresql():
        return Run.claim(
            "SELECT taken.id FROM unnest(%s::bigint[]) AS lane(connector), LATERAL ("
            "SELECT id FROM engine_run WHERE state = 'due' AND attempts = 0"
            " AND connector_id = lane.connector AND wake_at <= %s"
            f" ORDER BY wake_at LIMIT %s {skip_locked()}) AS taken",
            [lanes, now, quota],
            _COUNT,
        )
    arm = (
        "SELECT id FROM (SELECT id FROM engine_run WHERE state = 'due' AND attempts = 0"
        " AND connector_id = %s AND wake_at <= %s ORDER BY wake_at LIMIT %s)"
    )
    params = [value for lane in lanes for value in (lane, now, quota)]
    return Run.claim(" UNION ALL ".join([arm] * len(lanes)), params, _COUNT)


def claim_suspect() -> list[Run]:
    """Lease one run whose last claim came to nothing, to be tried by itself: first those that were
    claimed least often, since who was merely near must not wait behind the poison."""
    return Run.claim(
        "SELECT id FROM engine_run WHERE state = 'due' AND attempts > 0 AND wake_at <= %s"
        f" ORDER BY attempts, id LIMIT 1 {skip_locked()}",
        [moment(clock.now())],
        _COUNT,
    )


def _next_lanes(limit: int) -> list[int]:
    """Connectors with due runs, beginning after the one served last; at most `limit`.

    A loose index scan: one index probe for each connector, however many runs each has.
    """
    global _last_lane
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE lane(connector) AS ("
            " SELECT min(connector_id) FROM engine_run WHERE state = 'due'"
            " UNION ALL"
            " SELECT (SELECT min(connector_id) FROM engine_run"
            "         WHERE state = 'due' AND connector_id > lane.connector)"
            " FROM lane WHERE lane.connector IS NOT NULL)"
            " SELECT connector FROM lane WHERE connector IS NOT NULL"
        )
        lanes = [connector for (connector,) in cursor.fetchall()]
    if len(lanes) > limit:
        lanes = [c for c in lanes if c > _last_lane] + [c for c in lanes if c <= _last_lane]
        lanes = lanes[:limit]
        _last_lane = lanes[-1]
    return lanes
