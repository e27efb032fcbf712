"""What each drain does every few seconds besides its work: whatever needs somebody who has watched
the clock, or must not wait for an ordinary task, whose own times are among what may be wrong."""

from datetime import timedelta
from typing import Any

from django.db.models import DateTimeField, F, Value
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule

from apps.core import clock, jobs
from apps.engine import clock_steps, leases
from apps.engine.models import Delay, Queue, Run
from apps.messaging.models import Message

EVERY = timedelta(seconds=15)
# Who has seen the database's clock go evenly for so long may say that a lease is over.
WATCHED = timedelta(seconds=60)
# A row that is due is never put off for longer.
LATEST = timedelta(minutes=1)

_done_at: timedelta | None = None


def when_due(idle: bool = True) -> int:
    """Do it if EVERY has passed since this process did it last; twice as long for one that always
    has something else to do. It takes nothing, so 0."""
    global _done_at
    if _done_at is None or clock.elapsed() - _done_at >= (EVERY if idle else 2 * EVERY):
        do()
        _done_at = clock.elapsed()
    return 0


def do() -> None:
    take_back_the_future()
    leases.cut_down()
    wake_ordinary_tasks()
    if clock_steps.witness.even_for >= WATCHED:
        leases.expire()
    else:
        begin_to_wait_anew()


def take_back_the_future() -> None:
    """Rows that were made due with the time of before, when the clock had been put back already: by
    a process that did not know it yet, or by the last one before all were stopped."""
    now = clock.now()
    late = now + LATEST
    due: list[Any] = [
        # Unless it was put off on purpose (mending.py).
        Run.objects.filter(state=Run.State.DUE, troubles=0),
        *(kind._default_manager.filter(state=kind.READY) for kind in jobs.KINDS),
        # Their gateway may have asked to be left alone for longer.
        Message.objects.filter(state=Message.State.QUEUED, created_at__gt=late),
    ]
    # A queue lets the next one try after a minute and a half.
    Queue.objects.filter(wake_at__gt=late + LATEST).update(wake_at=now)
    for rows in due:
        rows.filter(wake_at__gt=late).update(wake_at=now)


def begin_to_wait_anew() -> None:
    """The same of delays that are durations. It looks through all that sleep, so not for long."""
    now = clock.now()
    waiting = Delay.objects.filter(state=Delay.State.WAITING, created_at__gt=now + LATEST)
    found = list(waiting.values_list("pk", flat=True))
    if not found:
        return
    since = Value(now, output_field=DateTimeField())
    clock_steps.durations().filter(pk__in=found).update(
        wake_at=F("wake_at") - (F("created_at") - since), created_at=since
    )


def wake_ordinary_tasks() -> None:
    """Django-Q goes by its host's own clock. When that was ahead for a while, what it does every
    minute and what is in its queue would wait until it has caught up."""
    now = clock.host()
    minutely = Schedule.objects.filter(schedule_type=Schedule.MINUTES, minutes=1)
    minutely.filter(next_run__gt=now + 2 * LATEST).update(next_run=now)
    retry = timedelta(seconds=Conf.RETRY)
    OrmQ.objects.filter(lock__gt=now + retry + LATEST).update(lock=now + retry)
