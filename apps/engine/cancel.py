"""Ending runs before their time: by hand, because their connector goes, or was published anew.

A few end at once. Very many are a long job (ending.py): locking them all in one transaction would
stop everybody else for as long as it takes.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F, QuerySet

from apps.connectors.models import Connector
from apps.core import clock, rows
from apps.engine.ending import Ending
from apps.engine.models import Attempt, Delay, Run
from apps.engine.order import release_after

# More runs than these are ended by a job.
AT_ONCE = 500
# Runs of one slice: a few milliseconds, after which others have their turn for longer. A thousand
# end in two seconds.
SLICE = 25
BREATH = timedelta(milliseconds=30)
# All that is left is in somebody's hands right now.
LOOKS_AGAIN = timedelta(seconds=1)

Which = Ending.Which


class Locked(NamedTuple):
    """A run that nobody else can touch now."""

    pk: int
    passage: int
    connector_id: int
    line: int | None


def waiting_runs(connector_id: int) -> int:
    """How many runs of the connector sleep in a delay, on whatever revision they started with."""
    return _asleep(connector_id).count()


def cancel_runs(run_ids: Collection[int], note: str) -> int:
    """End those of these runs that have not ended as *cancelled*; returns how many. Meant for some
    hundred.

    Also takes a run out of the hands of a worker: the lock waits for the worker's turn, and the
    new epoch makes the worker drop the run at its next fence.
    """
    with transaction.atomic():
        # In the order of their ids, as turns lock them.
        runs = Run.objects.filter(pk__in=run_ids, state__in=Run.OPEN)
        ended = _locked(runs.select_for_update())
        _end(ended, note)
        release_after((run.connector_id, run.line) for run in ended)
    return len(ended)


def cancel_waiting(connector: Connector, note: str, **cause: Any) -> Ending:
    """End every run of the connector that sleeps now as *cancelled*: at once or, if they are many,
    soon. `done` and `total` of what is returned say how many; it is stored if it is not done."""
    runs = _asleep(connector.pk).values_list("run_id", flat=True)
    return _ended(runs, which=Which.WAITING, connector=connector, note=note, **cause)


def cancel_open(connector: Connector, note: str, **cause: Any) -> Ending:
    """End every run of the connector that has not ended as *cancelled*, as above; for a connector
    that is deleted in this transaction."""
    in_hand = (runs.values_list("pk", flat=True) for runs in _in_hand(connector.pk))
    # One statement, so that no run slips from one part into another meanwhile.
    runs = _asleep(connector.pk).values_list("run_id", flat=True).union(*in_hand)
    return _ended(runs, which=Which.OPEN, connector=connector, note=note, **cause)


def _ended(run_ids: Any, connector: Connector, note: str, **columns: Any) -> Ending:
    """End these runs now if they are few, else queue it."""
    name, reason = connector.name, note[:300]
    ending = Ending(connector_id=connector.pk, connector_name=name, reason=reason, **columns)
    ending.total = run_ids.count()
    if ending.total > AT_ONCE:
        ending.begin()
    else:
        ending.done = ending.total = cancel_runs(list(run_ids), ending.reason)
        ending.state = Ending.State.DONE
    return ending


def _asleep(connector_id: int) -> QuerySet[Delay]:
    return Delay.objects.filter(connector=connector_id, state=Delay.State.WAITING)


def _in_hand(connector_id: int) -> tuple[QuerySet[Run], QuerySet[Run]]:
    """The runs of the connector that are due, and those that somebody works on: each has a partial
    index, so what has ended costs nothing."""
    mine = Run.objects.filter(connector=connector_id)
    return mine.filter(state=Run.State.DUE), mine.filter(state=Run.State.LEASED)


# --- in slices ------------------------------------------------------------------------------------


def end_slice(ending: Ending) -> bool:
    """End the next runs; True when none is left. It waits for nobody: what is locked is left for a
    later slice.

    Of those that waited, the held ones come first: they wait for runs that are about to end, and
    the end of these must wake only who came later.
    """
    ending.held_ended = ending.held_ended or not _any(_delays_of(ending))
    delays = _delays_of(ending)
    chosen = dict(delays.select_for_update(skip_locked=True).values_list("pk", "run_id")[:SLICE])
    run_ids = list(chosen.values()) or _unslept(ending)
    ended = _end_free(ending, run_ids)
    gone = _close_stale(chosen, {run.pk for run in ended})
    ending.done += len(ended)
    ending.rest = BREATH if ended or gone else LOOKS_AGAIN
    return not run_ids and ending.held_ended and not _any(delays)


def _any(delays: QuerySet[Delay]) -> bool:
    return bool(delays.values_list("pk", flat=True)[:1])


def _delays_of(ending: Ending) -> QuerySet[Delay]:
    """Which are left, in the order of their index: without one a slice might look for them among
    the rows of everybody."""
    delays = _asleep(ending.connector_id).order_by("identifier")
    if ending.which == Which.OPEN:
        return delays
    delays = delays.filter(created_at__lte=ending.created_at)
    return delays if ending.held_ended else delays.filter(action_uid=None)


def _unslept(ending: Ending) -> list[int]:
    """Due and leased runs of a deleted connector. One of them may be about to fall asleep, so it is
    only done when none is left."""
    if ending.which != Which.OPEN:
        return []
    due, leased = _in_hand(ending.connector_id)
    found = list(due.order_by("wake_at").values_list("pk", flat=True)[:SLICE])
    return found or list(leased.order_by("pk").values_list("pk", flat=True)[:SLICE])


def _end_free(ending: Ending, run_ids: list[int]) -> list[Locked]:
    states = Run.OPEN if ending.which == Which.OPEN else (Run.State.WAITING,)
    runs = Run.objects.filter(pk__in=run_ids, state__in=states)
    ended = _locked(runs.select_for_update(skip_locked=True))
    _end(ended, ending.reason)
    if ending.which != Which.OPEN:  # nothing of a deleted connector goes on
        release_after((run.connector_id, run.line) for run in ended)
    return ended


def _close_stale(chosen: dict[int, int], ended: set[int]) -> int:
    """Cancel those of these delays (id → run) whose run has ended or is gone; returns how many."""
    others = {run for run in chosen.values() if run not in ended}
    if not others:
        return 0
    still = Run.objects.filter(pk__in=others, state__in=Run.OPEN).values_list("pk", flat=True)
    stale = others - set(still)
    left = Delay.objects.filter(pk__in=[pk for pk, run in chosen.items() if run in stale])
    return left.update(state=Delay.State.CANCELLED, ended_at=clock.now())


# --- what ends ------------------------------------------------------------------------------------


def _locked(runs: QuerySet[Run]) -> list[Locked]:
    found = runs.order_by("pk").values_list("pk", "passage", "connector_id", "line")
    return [Locked(*run) for run in found]


def _end(runs: list[Locked], note: str) -> None:
    """End locked runs."""
    if not runs:
        return
    now, ids = clock.now(), [run.pk for run in runs]
    Run.objects.filter(pk__in=ids).update(
        state=Run.State.CANCELLED,
        error=note[:300],
        finished_at=now,
        lease_epoch=F("lease_epoch") + 1,
        lease_until=None,
        call=None,
    )
    # A delay that is being woken or cancelled this very moment is passed over: whoever holds it
    # waits for our runs, finds them ended and leaves them alone. Waiting for it would deadlock.
    waiting = Delay.objects.filter(run__in=ids, state=Delay.State.WAITING)
    free = list(waiting.select_for_update(skip_locked=True).values_list("pk", flat=True))
    Delay.objects.filter(pk__in=free).update(state=Delay.State.CANCELLED, ended_at=now)
    rows.insert(
        [
            Attempt(
                run_id=run.pk,
                passage=run.passage,
                kind="cancel",
                label="Run cancelled",
                result=Attempt.Result.CANCELLED,
                note=note[:500],
                at=now,
            )
            for run in runs
        ]
    )
