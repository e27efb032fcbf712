"""Runs that wait for something they share: a slot of the account's limit of calls, or a host that
does not answer.

They sleep in Delays that name their queue, and cost nothing meanwhile. The queue's own row wakes:
then as many of the first ones go on as there is room for. Behind a silent host one goes first, to
try; what comes of it is what the others get: they go on, or it is a failure for them, too, without
so many more requests that nobody answers. One stretch of waiting is one entry in a run's timeline,
however often it is begun anew.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from apps.core import clock, rows
from apps.core.due import is_postgresql, moment, skip_locked
from apps.core.http.outgoing import outgoing
from apps.engine import limits
from apps.engine.models import Delay, Queue, Run

LIMIT = limits.QUEUE
# What a woken run is told about its host, in front of the queue's name: that it is the one to try,
# or that the one that tried got no answer.
TRY, DEAD = "try ", "dead "
PAUSE = timedelta(seconds=30)
# If nothing was heard of the run that tries (it was cancelled, its worker died), another one does.
TRIES_FOR = timedelta(seconds=90)
# Between two looks while there may be room.
SOON = timedelta(milliseconds=200)
AT_ONCE = 500
# A Delay in a queue ends with its queue, not by itself.
FAR = timedelta(days=3650)


def of_host(host: str) -> str:
    return f"host {host}"[:300]


def is_told(run: Run, what: str, name: str) -> bool:
    return run.queue == f"{what}{name}"[:300]


def came_from(run: Run, name: str) -> bool:
    """Whether the run was woken from this queue, and has not moved since."""
    return run.queue in (name, f"{TRY}{name}"[:300])


def is_shut(name: str) -> bool:
    """Whether runs wait in this queue until one of them has tried."""
    return Queue.objects.filter(name=name).exclude(phase=Queue.Phase.OPEN).exists()


# --- into a queue --------------------------------------------------------------------------------


def park(parked: list[tuple[Run, Delay, bool]], first_look: dict[str, Any]) -> None:
    """In a turn's transaction: let runs wait, given with their Delays and whether they go on with
    a stretch of waiting that had begun; `first_look`: when each queue wakes, if it is new."""
    if not parked:
        return
    now = clock.now()
    rows.insert([delay for _, delay, goes_on in parked if not goes_on])
    with connection.cursor() as cursor:
        again = [(delay.queue, run.pk) for run, delay, goes_on in parked if goes_on]
        if again:
            cursor.executemany(
                "UPDATE engine_delay SET state = 'waiting', ended_at = NULL, queue = %s"
                " WHERE id = (SELECT MAX(id) FROM engine_delay WHERE run_id = %s)",
                again,
            )
        # Also takes hold of a queue that is just being emptied and dropped.
        for name in sorted({delay.queue for _, delay, _ in parked}):
            cursor.execute(
                "INSERT INTO engine_queue (name, phase, wake_at, dead_upto) VALUES (%s, %s, %s, 0)"
                " ON CONFLICT (name) DO UPDATE SET name = excluded.name",
                [name, Queue.Phase.CLOSED, moment(first_look.get(name) or now)],
            )


def delay_in(run: Run, name: str, action_uid: Any, label: str) -> Delay:
    now = clock.now()
    return Delay(
        run_id=run.pk,
        connector_id=run.connector_id,
        action_uid=action_uid,
        label=label[:80],
        queue=name,
        wake_at=now + FAR,
        created_at=now,
    )


# --- out of it -----------------------------------------------------------------------------------


def turn() -> int:
    """Serve the queues whose time it is; returns how many runs were woken."""
    due = Queue.objects.filter(wake_at__lte=clock.now()).order_by("wake_at")
    return sum(_serve(pk) for pk in list(due.values_list("pk", flat=True)[:20]))


@transaction.atomic
def _serve(pk: int) -> int:
    free = Queue.objects.select_for_update(skip_locked=True)
    queue = free.filter(pk=pk, wake_at__lte=clock.now()).first()
    if queue is None:
        return 0
    if queue.dead_upto:
        return _tell_the_dead(queue)
    if queue.name == LIMIT:
        return _serve_limit(queue)
    return _let_one_try(queue) if queue.phase != Queue.Phase.OPEN else _serve_open(queue)


def _serve_limit(queue: Queue) -> int:
    room = limits.free()
    # Those that were woken before, and that no drain has come to yet, have their slots in mind.
    woken_before = Run.objects.filter(queue=LIMIT, state=Run.State.DUE).count()
    woken = _wake(queue, AT_ONCE if room is None else max(0, room - woken_before))
    soon = woken or woken_before or room is None
    at = clock.now() + SOON if soon else limits.next_free_at()
    _again(queue, max(at, clock.now() + SOON))
    return woken


def _let_one_try(queue: Queue) -> int:
    woken = _wake(queue, 1, TRY)
    queue.phase = Queue.Phase.TRYING
    _again(queue, clock.now() + TRIES_FOR)
    return woken


def _serve_open(queue: Queue) -> int:
    woken = _wake(queue, max(1, outgoing().share("calls").room // 2))
    _again(queue, clock.now() + SOON)
    return woken


def _tell_the_dead(queue: Queue) -> int:
    woken = _wake(queue, AT_ONCE, DEAD, upto=queue.dead_upto)
    if woken < AT_ONCE:
        queue.dead_upto, queue.phase = 0, Queue.Phase.CLOSED
        _again(queue, clock.now() + PAUSE)
    return woken


def _again(queue: Queue, at: Any) -> None:
    """Serve it again at that time, or drop it when nobody waits in it any more."""
    if not Delay.objects.filter(queue=queue.name, state=Delay.State.WAITING).exists():
        queue.delete()
        return
    queue.wake_at = at
    queue.save()


def _wake(queue: Queue, count: int, told: str = "", upto: int = 0) -> int:
    """Let the first so many runs of the queue go on. One that somebody has locked is passed over:
    it must not hold up the others, nor other queues."""
    first = f" AND delay.id <= {int(upto)}" if upto else ""
    candidates = (
        "SELECT delay.id FROM engine_delay AS delay JOIN engine_run AS run ON run.id = delay.run_id"
        f" WHERE delay.queue = %s AND delay.state = 'waiting'{first}"
        f" ORDER BY delay.id LIMIT %s {skip_locked('delay, run')}"
    )
    chosen = f"= ANY(ARRAY({candidates}))" if is_postgresql() else f"IN ({candidates})"
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE engine_delay SET state = 'fired', ended_at = %s"
            f" WHERE id {chosen} RETURNING run_id",
            [moment(now), queue.name, count],
        )
        woken = [run for (run,) in cursor.fetchall()]
    waiting = Run.objects.filter(pk__in=woken, state=Run.State.WAITING)
    waiting.update(state=Run.State.DUE, wake_at=now, queue=f"{told}{queue.name}"[:300])
    return len(woken)


# --- what is heard of hosts ----------------------------------------------------------------------


def hear(heard: dict[str, bool]) -> None:
    """In a turn's transaction: hosts that were silent, and whether the one that tried got an
    answer. Those who wait go on, or share its failure."""
    for host in sorted(heard):
        name = of_host(host)
        queue = Queue.objects.select_for_update().filter(name=name)
        if heard[host]:
            queue.update(phase=Queue.Phase.OPEN, dead_upto=0, wake_at=clock.now())
            continue
        waiting = Delay.objects.filter(queue=name, state=Delay.State.WAITING)
        last = waiting.aggregate(last=Max("pk"))["last"]
        queue.update(phase=Queue.Phase.CLOSED, dead_upto=last or 0, wake_at=clock.now())


def let_others_try(untried: Mapping[str, datetime]) -> None:
    """In a turn's transaction: the run that was told to try did not come to it (the account's limit
    was used up, or its request was none). The next one may at the time that is given."""
    for name, at in sorted(untried.items()):
        trying = Queue.objects.filter(name=name, phase=Queue.Phase.TRYING)
        trying.update(phase=Queue.Phase.CLOSED, wake_at=at)


def mend() -> int:
    """Let queues wake that somebody waits in and that have no row; part of the sweep."""
    names = Delay.objects.filter(state=Delay.State.WAITING).exclude(queue="")
    known = set(Queue.objects.values_list("name", flat=True))
    lost: Iterable[str] = set(names.values_list("queue", flat=True).distinct()) - known
    made = [Queue(name=name, wake_at=clock.now()) for name in lost]
    Queue.objects.bulk_create(made, ignore_conflicts=True)
    return len(made)
