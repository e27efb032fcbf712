"""Moving one run forward through its plan until it ends or waits. Writes through services and
collects the rest (timeline, delays) for the turn to write."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter_ns
from typing import Any

from django.db import DatabaseError, transaction
from liquid.exceptions import LiquidError

from apps.connectors.models import Action
from apps.connectors.outcomes import KEEP, Call, Done, Ended, Failed, Outcome, Skip, Stop, Wait
from apps.core import clock, liquid
from apps.core.budget import one_budget
from apps.core.trouble import DATABASE_ERRORS, Trouble, kind_of
from apps.crm import services as crm
from apps.crm.services import Identity, InvalidContact
from apps.engine import queues
from apps.engine.calls import MOST_US, Flight, has_not_left
from apps.engine.context import RunContext, Vanished
from apps.engine.dialling import Calls, Queued
from apps.engine.models import Attempt, Delay, Run
from apps.engine.order import Lines
from apps.engine.plan import Item
from apps.engine.retries import Retry, ends_run, or_retry

logger = logging.getLogger(__name__)

_RESULTS = {
    Done: Attempt.Result.DONE,
    Skip: Attempt.Result.SKIPPED,
    Wait: Attempt.Result.WAITING,
    Stop: Attempt.Result.STOPPED,
    Failed: Attempt.Result.FAILED,
    Retry: Attempt.Result.RETRYING,
}


class HalfDone(Exception):
    """An action broke after it had written: only rolling the turn back undoes it."""


class Writes:
    """Counts the statements of a turn that change rows: an action that broke before its first one
    has done nothing, and needs no savepoint to say so (docs/adr/0006). Wraps execution."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith("SELECT"):
            self.count += 1
        return execute(sql, params, many, context)


@dataclass
class Story:
    """What a turn has to write besides the runs themselves, and how much was written so far."""

    attempts: list[Attempt] = field(default_factory=list)
    delays: list[Delay] = field(default_factory=list)
    # Runs that wait in queues: with their Delay, and whether that had begun before.
    parked: list[tuple[Run, Delay, bool]] = field(default_factory=list)
    first_look: dict[str, datetime] = field(default_factory=dict)
    calls: Calls = field(default_factory=Calls)
    lines: Lines = field(default_factory=Lines)
    writes: Writes = field(default_factory=Writes)
    # A run of the turn is due again at once.
    goes_on: bool = False


def advance(
    context: RunContext, story: Story, alone: bool = False, flight: Flight | None = None
) -> None:
    """Perform items until the run ends, waits or calls the outside; with `flight`, go on from the
    answer that it brought.

    What would leave an action half done goes up to the turn, which is rolled back and done again
    run by run; `alone` (the turn holds nothing but this run) contains it by savepoints.
    """
    run = context.run
    if run.position < 0:
        if not run.line:
            map_contact(context, story, alone)
            if context.plan.in_order and story.lines.enter(run):
                return
        run.position = 0
    if flight is not None and has_not_left(flight.answer):
        # The worker was stopped for too long: as if it had not come to the call, yet.
        run.call, run.state = None, Run.State.DUE
        return
    items = context.plan.items
    while run.state == Run.State.LEASED:
        if run.position >= len(items):
            end(run, Run.State.DONE)
            break
        item = items[run.position]
        if item.action is not None and not item.action.enabled:
            run.position += 1
            continue
        begun = flight.begun if flight else perf_counter_ns()
        context.begin(item.action, flight)
        if flight:
            run.call = None
        came = perform(item, context, story, alone, flight)
        if isinstance(came, Call):
            if story.calls.exchange.closing:
                run.state = Run.State.DUE  # the next drain makes the call
            else:
                story.calls.fly(context, came, begun)
            break
        if run.call:
            story.calls.lost(run)
        if isinstance(came, Queued):
            park(came, item, context, story)
            break
        flight, run.queue = None, ""
        outcome = or_retry(came, item, run)
        take_effect(outcome, item, context, story)
        story.attempts.append(entry(context, item, outcome, (perf_counter_ns() - begun) // 1000))
        if not run.tries:
            run.last_executed_at = clock.now()


def perform(
    item: Item, context: RunContext, story: Story, alone: bool, flight: Flight | None = None
) -> Outcome | Queued:
    """The outcome of one action; raises only what the turn has to handle (see `whole`). A Call
    that comes back is one that can be made now."""
    action = item.action
    if action is None:
        return Failed(f'This installation has no action kind "{item.kind}".')
    if action.needs_contact and context.contact is None:
        return Skip("No contact mapped")
    try:
        with one_budget(), whole(story, savepoint=alone and action.writes):
            if flight is not None and flight.answer is not None:
                outcome = flight.outcome.then(context, flight.answer)
            else:
                outcome = action.perform(context)
            return story.calls.dial(context, outcome) if isinstance(outcome, Call) else outcome
    except HalfDone:
        raise
    except Exception as error:
        kind = kind_of(error)
        if kind is not None and not (alone and kind is Trouble.OWN):
            raise  # not contained by a savepoint, or nobody's fault here
        return Failed(_sentence(error, action, context), rest_of_step=action.guards_step)


@contextmanager
def whole(story: Story, savepoint: bool) -> Iterator[None]:
    """All of what stands inside is done, or nothing. Without a savepoint that is only so as long
    as nothing was written before it broke: HalfDone says that something was."""
    if savepoint:
        with transaction.atomic():
            yield
        return
    before = story.writes.count
    try:
        yield
    except (*DATABASE_ERRORS, MemoryError):
        raise
    except Exception as error:
        if story.writes.count != before:
            raise HalfDone from error
        raise


def _sentence(error: Exception, action: Action, context: RunContext) -> str:
    """What kept the action from being performed, for the operator."""
    match error:
        case Vanished():
            return str(error)
        case LiquidError():
            return f"An attribute can't be filled in: {liquid.reason(error)}"
    logger.exception("Action %s of run %s", action.key, context.run.pk, exc_info=error)
    if isinstance(error, DatabaseError):
        return f"The database refused it: {str(error).splitlines()[0]}"
    return (
        f"The action broke ({type(error).__name__}); the server's log says where. Please report it."
    )


def take_effect(outcome: Ended | Retry, item: Item, context: RunContext, story: Story) -> None:
    """Set where the run stands after this outcome."""
    run = context.run
    if isinstance(outcome, Retry):
        run.tries += 1
        run.state = Run.State.WAITING
        story.delays.append(_delay(item, run, outcome.label, outcome.until))
        return
    run.tries = 0
    following = run.position + 1
    if isinstance(outcome, Failed) and item.action is not None:
        item.action.gave_up(context, outcome)
    if isinstance(outcome, Done | Failed) and outcome.contact is not KEEP:
        context.set_contact(outcome.contact)
    match outcome:
        case Wait():
            run.state = Run.State.WAITING
            identifier = outcome.identifier.strip()[:200]
            story.delays.append(_delay(item, run, item.label, outcome.until, identifier))
        case Stop():
            end(run, Run.State.STOPPED)
        case Skip(rest_of_step=True) | Failed(rest_of_step=True):
            following = item.next_step
        case Failed() if item.action and ends_run(outcome, item.action):
            end(run, Run.State.FAILED, f"{item.label}: {outcome.note}")
            following = run.position  # where an operator lets it go on
    run.position = following
    values = getattr(outcome, "values", None)
    if values and item.action is not None and item.action.gives:
        context.give(item.action.gives, item.action.key, dict(values))


def park(queued: Queued, item: Item, context: RunContext, story: Story) -> None:
    """Let the run wait in a queue at its position. A stretch that goes on has its entry already."""
    run = context.run
    goes_on = queues.came_from(run, queued.name)
    run.state, run.queue = Run.State.WAITING, queued.name
    delay = queues.delay_in(run, queued.name, _uid(item.action), item.label)
    story.parked.append((run, delay, goes_on))
    if queued.first_look is not None:
        story.first_look.setdefault(queued.name, queued.first_look)
    if not goes_on:
        waits = Wait(delay.wake_at, note=queued.note)
        story.attempts.append(entry(context, item, waits, 0))


def end(run: Run, state: str, error: str = "") -> None:
    run.state = state
    run.error = error[:300]
    run.finished_at = clock.now()
    run.call = None


def _delay(item: Item, run: Run, label: str, until: datetime, identifier: str = "") -> Delay:
    return Delay(
        run_id=run.pk,
        connector_id=run.connector_id,
        action_uid=_uid(item.action),
        label=label[:80],
        identifier=identifier,
        wake_at=until,
        created_at=clock.now(),
    )


def _uid(action: Action | None) -> Any:
    return action.uid if action else None


def entry(context: RunContext, item: Item, outcome: Ended | Retry, duration_us: int) -> Attempt:
    note = outcome.note
    return Attempt(
        run_id=context.run.pk,
        passage=context.passage,
        step_name=item.step_name,
        action_uid=_uid(item.action),
        kind=item.kind,
        label=item.label[:80],
        result=_RESULTS[type(outcome)],
        note=note if len(note) <= 500 else note[:499] + "…",
        contact_id=context.found_contact_id,
        went_in=context.inputs,
        came_out=dict(getattr(outcome, "values", {})),
        missing=sorted(set(context.missing)),
        at=clock.now(),
        duration_us=min(duration_us, MOST_US),
    )


def map_contact(context: RunContext, story: Story, alone: bool) -> None:
    """Field mapping, before the first step: find or create the contact of the event."""
    mapping = context.plan.mapping
    if not mapping:
        return
    begun = perf_counter_ns()
    context.begin(None)
    item = Item(None, "Field mapping", "field_mapping", "", 0)
    try:
        details = {name: context.render(name, text) for name, text in mapping.items()}
        identity = Identity.read(details.get("phone"), details.get("email"))
        if identity is None:
            outcome: Ended = Skip("The event names neither a mobile number nor an email address.")
        else:
            with whole(story, savepoint=alone):
                contact, created = crm.identify(identity, details, **context.cause)
            context.set_contact(contact)
            outcome = Done("Contact created" if created else "Contact found", {"id": contact.pk})
    except InvalidContact as error:
        outcome = Failed(f"{error} {_goes_on(context)}")
    except LiquidError as error:
        why = f"An attribute can't be filled in: {liquid.reason(error)}."
        outcome = Failed(f"{why} {_goes_on(context)}")
    took = (perf_counter_ns() - begun) // 1000
    story.attempts.append(entry(context, item, outcome, took))


def _goes_on(context: RunContext) -> str:
    """With whom, when the field mapping found nobody: a routed run has its parent's contact, one of
    a CRM change the contact that was changed."""
    if context.contact is None:
        return "The run goes on without a contact."
    if context.run.cause == "run":
        return "The run goes on with its parent's contact."
    return "The run goes on with the contact of its event."
