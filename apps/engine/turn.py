"""A turn: a batch of claimed runs advanced together and committed once.

Everything that a run did in a turn (effects in our tables, queued messages, armed delays, the
timeline, its next position) is in that one transaction: it happened, or it did not.
"""

import logging
from time import monotonic, sleep
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import F

from apps.core import clock
from apps.core.due import LEASE, is_postgresql, moment, owner
from apps.crm.models import Contact
from apps.engine.advance import Story, advance, end, is_transient
from apps.engine.bell import ring
from apps.engine.claims import MAX_ATTEMPTS, claim_batch, claim_suspect
from apps.engine.context import AttributeBook, RunContext
from apps.engine.models import Attempt, Delay, Event, Run
from apps.engine.plan import Plan, plans_of

logger = logging.getLogger(__name__)

SECONDS = 0.05
RETRIES = 8
# Runs that write rows of everybody (counters, tags made on the fly …) commit one turn at a time:
# without this lock grouped commits over such rows collapse in deadlocks (docs/adr/0003).
SHARED_LOCK = 7_305_518


# How many runs a turn gets through in its time; found out by doing (see _adapt).
_reach = 20
MOST = 200


def take_turn() -> int:
    """Claim and advance one batch and, if there is one, one suspect by itself; returns how many
    runs were taken."""
    batch, suspect = claim_batch(_reach), claim_suspect()
    if suspect and suspect[0].attempts > MAX_ATTEMPTS:
        give_up(suspect[0])
    elif suspect:
        work_off(suspect)
    work_off(batch)
    return len(batch) + len(suspect)


def work_off(runs: list[Run]) -> None:
    """Advance all of `runs`, in as many turns as it takes; none is left leased."""
    while runs:
        left = _turn_with_retries(runs)
        _adapt(len(runs), len(left))
        runs = left


def _adapt(taken: int, left: int) -> None:
    """Claim next what one turn can do: every run in hand costs in each turn that it waits for, and
    is a suspect if the worker dies."""
    global _reach
    if left:
        _reach = max(taken - left, 1)
    elif taken >= _reach:
        _reach = min(_reach * 2, MOST)


def _turn_with_retries(runs: list[Run]) -> list[Run]:
    """One turn; returns the runs that it did not get to. On a transient error the turn is taken
    again from the database; on any other its runs are taken one by one."""
    for attempt in range(RETRIES):
        try:
            return turn(runs)
        except Exception as error:
            transient = isinstance(error, DatabaseError) and is_transient(error)
            if not transient:
                logger.warning(
                    "A turn of %s runs is done again, one by one", len(runs), exc_info=True
                )
                for run in _reload(runs):
                    _alone(run)
                return []
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
            sleep(0.01 * 2**attempt)
            runs = _reload(runs)
            if not runs:
                return []
    mine = Run.objects.filter(state=Run.State.LEASED, lease_owner=owner())
    mine.filter(pk__in=[run.pk for run in runs]).update(
        state=Run.State.DUE, lease_epoch=F("lease_epoch") + 1
    )
    return []


def _alone(run: Run) -> None:
    """A turn for one run, whose own errors can harm nobody else: they end it."""
    for attempt in range(RETRIES):
        try:
            turn([run], alone=True)
            return
        except Exception as error:
            if isinstance(error, DatabaseError) and is_transient(error):
                sleep(0.01 * 2**attempt)
            else:
                logger.exception("Run %s broke", run.pk)
                text = str(error).splitlines()[0] if str(error) else type(error).__name__
                _fail(run, f"The run could not be saved: {text}")
                return
        reloaded = _reload([run])
        if not reloaded:
            return
        run = reloaded[0]


def _reload(runs: list[Run]) -> list[Run]:
    """The same runs as the database has them, without those that are no longer ours."""
    mine = Run.objects.filter(
        pk__in=[run.pk for run in runs], state=Run.State.LEASED, lease_owner=owner()
    )
    return list(mine.order_by("pk"))


def _fail(run: Run, error: str) -> None:
    Run.objects.filter(pk=run.pk, state=Run.State.LEASED, lease_owner=owner()).update(
        state=Run.State.FAILED, error=error[:300], finished_at=clock.now()
    )


def give_up(run: Run) -> None:
    """End a run that interrupted every worker that touched it."""
    _fail(
        run,
        f"Poison: the run interrupted its worker {run.attempts - 1} times and was ended.",
    )


def turn(runs: list[Run], alone: bool = False) -> list[Run]:
    """Advance `runs` in one transaction, for about SECONDS; returns those not reached, still
    leased. Raises whatever the database raises; nothing of the turn has happened then."""
    plans = plans_of(run.revision_id for run in runs)
    with transaction.atomic():
        if is_postgresql() and any(
            plans[run.revision_id].touches_shared(run.position)
            for run in runs
            if run.revision_id in plans
        ):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SHARED_LOCK])
        runs = fence(runs)
        story = Story()
        with connection.execute_wrapper(story.writes):
            reached = _advance_all(runs, plans, story, alone)
        _write(reached, story)
    ring_after_commit(story)
    return runs[len(reached) :]


def ring_after_commit(story: Story) -> None:
    """Let the clocks know of delays that end before they would look by themselves."""
    if story.delays:
        ring(min(delay.wake_at for delay in story.delays))


def fence(runs: list[Run]) -> list[Run]:
    """Heartbeat, fence and row lock in one statement: the runs that are still ours, in the order
    of their contacts, so that two turns lock contacts in the same order."""
    marks = ", ".join(["(%s, %s)"] * len(runs))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE engine_run SET lease_until = %s WHERE state = 'leased'"
            f" AND (id, lease_epoch) IN (VALUES {marks}) RETURNING id",
            [
                moment(clock.now() + LEASE),
                *(value for run in runs for value in (run.pk, run.lease_epoch)),
            ],
        )
        mine = {pk for (pk,) in cursor.fetchall()}
    return sorted(
        (run for run in runs if run.pk in mine),
        key=lambda run: (run.contact_id or 0, run.pk),
    )


def _advance_all(runs: list[Run], plans: dict[int, Plan], story: Story, alone: bool) -> list[Run]:
    until = monotonic() + SECONDS
    events = Event.objects.in_bulk([run.event_id for run in runs])
    contacts = Contact.objects.in_bulk([run.contact_id for run in runs if run.contact_id])
    refs: dict[Any, Any] = {}
    book = AttributeBook(contacts)
    reached = []
    for run in runs:
        plan, event = plans.get(run.revision_id), events.get(run.event_id)
        reached.append(run)
        if plan is None:
            end(run, Run.State.CANCELLED, "The connector was deleted.")
        elif event is None:
            end(run, Run.State.FAILED, "The event of this run was deleted.")
        else:
            contact = contacts.get(run.contact_id) if run.contact_id else None
            advance(RunContext(run, event, plan, contact, refs, book), story, alone)
        if monotonic() > until:
            break
    return reached


def _write(runs: list[Run], story: Story) -> None:
    """The runs' new positions, their timeline and the delays that they armed."""
    Attempt.objects.bulk_create(story.attempts)
    Delay.objects.bulk_create(story.delays)
    columns = ("state", "position", "tries", "values", "contact_id", "error")
    times = ("last_executed_at", "finished_at")
    values_field = Run._meta.get_field("values")
    rows = [
        [
            run.state,
            run.position,
            run.tries,
            values_field.get_prep_value(run.values),
            run.contact_id,
            run.error,
            *(value and moment(value) for value in (run.last_executed_at, run.finished_at)),
            run.pk,
        ]
        for run in runs
    ]
    quoted = ", ".join(f"{connection.ops.quote_name(column)} = %s" for column in (*columns, *times))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE engine_run SET {quoted}, attempts = 0, lease_until = NULL WHERE id = %s",
            rows,
        )
