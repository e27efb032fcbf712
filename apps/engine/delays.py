"""Sleeping runs: waking those that are due, cancelling by identifier."""

from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Case, F, Value, When

from apps.core import clock
from apps.core.clock import uptime
from apps.core.due import is_postgresql, moment, skip_locked
from apps.core.trouble import Trouble, kind_of
from apps.engine import order
from apps.engine.models import Attempt, Delay, Run

_DUE = (
    "SELECT id FROM engine_delay WHERE state = 'waiting' AND wake_at <= %s"
    " ORDER BY wake_at LIMIT %s"
)
# Without those whose runs somebody has locked. It reads each run, too.
_FREE = (
    "SELECT delay.id FROM engine_delay AS delay JOIN engine_run AS run ON run.id = delay.run_id"
    " WHERE delay.state = 'waiting' AND delay.wake_at <= %s"
    " ORDER BY delay.wake_at LIMIT %s FOR NO KEY UPDATE OF delay, run SKIP LOCKED"
)


# Seconds for which that is the way, after it was found to be needed.
CAREFUL = 60.0
_careful_until = 0.0


def wake(limit: int = 500) -> int:
    """Fire the delays that are due and make their runs due; returns how many. A run that somebody
    holds for long keeps nobody else asleep."""
    global _careful_until
    if uptime() >= _careful_until:
        try:
            return _wake(f"{_DUE} {skip_locked()}", limit)
        except OperationalError as error:
            if kind_of(error) is not Trouble.LOCKED or not is_postgresql():
                raise
        _careful_until = uptime() + CAREFUL
    return _wake(_FREE, limit)


def _wake(candidates: str, limit: int) -> int:
    now = moment(clock.now())
    chosen = f"= ANY(ARRAY({candidates}))" if is_postgresql() else f"IN ({candidates})"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE engine_delay SET state = 'fired', ended_at = %s"
            f" WHERE id {chosen} RETURNING run_id, action_uid",
            [now, now, limit],
        )
        ended = cursor.fetchall()
        waiting = Run.objects.filter(state=Run.State.WAITING)
        due = {"state": Run.State.DUE, "wake_at": clock.now()}
        # A delay counts as executed when it ends, so that the next one adds to it. The wait for a
        # retry does not, since it is no action of the flow; nor does being held (order.py).
        slept = [run for run, action in ended if action is not None]
        executed = Case(When(tries=0, then=Value(clock.now())), default=F("last_executed_at"))
        waiting.filter(pk__in=slept).update(**due, last_executed_at=executed)
        waiting.filter(pk__in=[run for run, action in ended if action is None]).update(**due)
    return len(ended)


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
            if not ended:
                return 0
            cursor.execute(
                "UPDATE engine_run SET state = 'cancelled', finished_at = %s, error = %s WHERE"
                f" state = 'waiting' AND id IN ({', '.join(['%s'] * len(ended))})"
                " RETURNING connector_id, line, id, passage",
                [moment(now), note[:300], *(run for run, _, _ in ended)],
            )
            cancelled = cursor.fetchall()
        order.release_after([(connector, line) for connector, line, _, _ in cancelled])
        passages = {run: passage for _, _, run, passage in cancelled}
        Attempt.objects.bulk_create(
            Attempt(
                run_id=run,
                passage=passages.get(run, 1),
                action_uid=uid,
                kind="delay" if uid else order.KIND,
                label=label,
                result=Attempt.Result.CANCELLED,
                note=note[:500],
                at=now,
            )
            for run, uid, label in ended
        )
    return len(ended)
