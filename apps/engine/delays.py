"""Sleeping runs: waking those that are due, cancelling by identifier."""

from typing import Any

from django.db import connection, transaction
from django.db.models import Case, F, Value, When

from apps.core import clock
from apps.core.due import is_postgresql, moment, skip_locked
from apps.engine.models import Attempt, Delay, Run


def wake(limit: int = 500) -> int:
    """Fire the delays that are due and make their runs due; returns how many."""
    now = moment(clock.now())
    candidates = (
        "SELECT id FROM engine_delay WHERE state = 'waiting' AND wake_at <= %s"
        f" ORDER BY wake_at LIMIT %s {skip_locked()}"
    )
    chosen = f"= ANY(ARRAY({candidates}))" if is_postgresql() else f"IN ({candidates})"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE engine_delay SET state = 'fired', ended_at = %s"
            f" WHERE id {chosen} RETURNING run_id",
            [now, now, limit],
        )
        runs = [run for (run,) in cursor.fetchall()]
        if runs:
            # A delay counts as executed when it ends, so that the next one adds to it; the wait
            # for a retry does not, since it is no action of the flow.
            executed = Case(When(tries=0, then=Value(clock.now())), default=F("last_executed_at"))
            Run.objects.filter(pk__in=runs, state=Run.State.WAITING).update(
                state=Run.State.DUE, wake_at=clock.now(), last_executed_at=executed
            )
    return len(runs)


def cancel(connector_id: int, identifier: str, note: str) -> int:
    """Cancel every waiting delay of the connector with this identifier, and end its run as
    *cancelled*; returns how many. A blank identifier never matches; one that just fired is too
    late to cancel."""
    identifier = identifier.strip()[:200]
    if not identifier:
        return 0
    return _cancel("connector_id = %s AND identifier = %s", [connector_id, identifier], note)


def cancel_one(delay: Delay, note: str) -> bool:
    """Cancel one waiting delay by hand; False when it has ended already."""
    return bool(_cancel("id = %s", [delay.pk], note))


def _cancel(where: str, params: list[Any], note: str) -> int:
    now = clock.now()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE engine_delay SET state = 'cancelled', ended_at = %s"
                f" WHERE state = 'waiting' AND {where} RETURNING run_id, action_uid, label",
                [moment(now), *params],
            )
            ended = cursor.fetchall()
        runs = Run.objects.filter(pk__in=[run for run, _, _ in ended])
        passages = dict(runs.values_list("pk", "passage")) if ended else {}
        runs.filter(state=Run.State.WAITING).update(
            state=Run.State.CANCELLED, finished_at=now, error=note[:300]
        )
        Attempt.objects.bulk_create(
            Attempt(
                run_id=run,
                passage=passages.get(run, 1),
                action_uid=uid,
                kind="delay",
                label=label,
                result=Attempt.Result.CANCELLED,
                note=note[:500],
                at=now,
            )
            for run, uid, label in ended
        )
    return len(ended)
