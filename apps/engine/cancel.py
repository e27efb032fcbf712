"""Ending runs before their time: by hand, because their connector goes, or was published anew."""

from django.db import transaction
from django.db.models import F, QuerySet

from apps.core import clock
from apps.engine.models import Attempt, Delay, Run
from apps.engine.order import release_after

CHUNK = 1_000


def waiting_runs(connector_id: int) -> int:
    """How many runs of the connector sleep in a delay, on whatever revision they started with."""
    return Run.objects.filter(connector=connector_id, state=Run.State.WAITING).count()


def cancel_runs(run_ids: list[int], note: str) -> int:
    """End those of these runs that have not ended as *cancelled*; returns how many."""
    return _cancel(Run.objects.filter(pk__in=run_ids, state__in=Run.OPEN), note)


def cancel_waiting(connector_id: int, note: str) -> int:
    """End every sleeping run of the connector as *cancelled*; returns how many."""
    return _cancel(Run.objects.filter(connector=connector_id, state=Run.State.WAITING), note)


def cancel_open(connector_id: int, note: str) -> int:
    """End every run of the connector that has not ended as *cancelled*; returns how many."""
    return _cancel(Run.objects.filter(connector=connector_id, state__in=Run.OPEN), note)


def _cancel(runs: QuerySet[Run], note: str) -> int:
    """Also takes a run out of the hands of a worker: the lock waits for the worker's turn, and the
    new epoch makes the worker drop the run at its next fence."""
    with transaction.atomic():
        # In the order of their ids, as turns lock them.
        locked = runs.select_for_update().order_by("pk")
        ended = list(locked.values_list("pk", "passage", "connector_id", "line"))
        for start in range(0, len(ended), CHUNK):
            _end({pk: passage for pk, passage, *_ in ended[start : start + CHUNK]}, note)
        release_after((connector, line) for *_, connector, line in ended)
    return len(ended)


def _end(passages: dict[int, int], note: str) -> None:
    """End locked runs, given as id → pass."""
    now = clock.now()
    Run.objects.filter(pk__in=passages).update(
        state=Run.State.CANCELLED,
        error=note[:300],
        finished_at=now,
        lease_epoch=F("lease_epoch") + 1,
        lease_until=None,
        call=None,
    )
    # A delay that is being woken or cancelled this very moment is passed over: whoever holds it
    # waits for our runs, finds them ended and leaves them alone. Waiting for it would deadlock.
    waiting = Delay.objects.filter(run__in=passages, state=Delay.State.WAITING)
    free = list(waiting.select_for_update(skip_locked=True).values_list("pk", flat=True))
    Delay.objects.filter(pk__in=free).update(state=Delay.State.CANCELLED, ended_at=now)
    Attempt.objects.bulk_create(
        Attempt(
            run_id=pk,
            passage=passage,
            kind="cancel",
            label="Run cancelled",
            result=Attempt.Result.CANCELLED,
            note=note[:500],
            at=now,
        )
        for pk, passage in passages.items()
    )
