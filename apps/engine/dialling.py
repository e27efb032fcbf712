"""May a call be made now, and what stands for it in the database before it leaves and after."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.utils.text import Truncator

from apps.connectors.outcomes import Call, Outcome
from apps.core import clock, rows
from apps.core.http.messages import Failure, Kind
from apps.engine import calls, limits, queues
from apps.engine.calls import Exchange, Flight, host_of
from apps.engine.limits import Slots
from apps.engine.models import Call as Row
from apps.engine.models import Run

LOST = "The answer was lost: the worker ended while the call was under way."
NO_ANSWER = "{} does not answer: another run has just tried."
OVER_LIMIT = "Rate Limit Exceeded"
STALE = timedelta(minutes=10)


@dataclass(frozen=True)
class Queued:
    """The call has to wait in a queue; `first_look`: when that is served first, if it is new."""

    name: str
    note: str
    first_look: datetime | None = None


class Calls:
    """The calls of one turn: those that came back, and those that leave when it is committed."""

    def __init__(self, exchange: Exchange | None = None) -> None:
        self._exchange = exchange
        self._slots = Slots()
        self._orphans: list[UUID] = []
        # Queues whose run was told to try and did not come to it, and when another one may.
        self._untried: dict[str, datetime] = {}
        self.flights: list[Flight] = []
        self.landed: list[Flight] = []

    @property
    def exchange(self) -> Exchange:
        return self._exchange or calls.exchange()

    def dial(self, context: Any, outcome: Outcome) -> Outcome | Queued:
        """`outcome` if its call can be made now; else what comes of that: a queue to wait in, or
        whatever the action makes of a failure."""
        if isinstance(outcome, Call) and context.run.call:
            outcome = self._after_a_crash(context, outcome)
        while isinstance(outcome, Call):
            host = host_of(outcome.request.url)
            stands = self._before_a_silent_host(context.run, host)
            if isinstance(stands, Queued):
                return stands
            if stands is not None:
                outcome = outcome.then(context, stands)
                continue
            if self._slots.take(outcome.waits, queues.came_from(context.run, queues.LIMIT)):
                return outcome
            name = queues.of_host(host)
            if queues.is_told(context.run, queues.TRY, name):
                self._untried[name] = limits.next_free_at()
                if outcome.waits:  # it keeps its place, as the first
                    return Queued(name, "", self._untried[name])
            if outcome.waits:
                return Queued(queues.LIMIT, "Waits for a free slot of the rate limit")
            failure = Failure(OVER_LIMIT, Kind.LIMITED, sent=False, took_us=0)
            outcome = outcome.then(context, failure)
        return outcome

    def _before_a_silent_host(self, run: Run, host: str) -> Queued | Failure | None:
        """None: the call may be made."""
        name = queues.of_host(host)
        if queues.is_told(run, queues.DEAD, name):
            run.queue = ""
            return Failure(NO_ANSWER.format(host), Kind.CONNECT, sent=False, took_us=0)
        if queues.came_from(run, name):
            return None
        left = self.exchange.breaker.left_of_pause(host)
        if left is None:
            return None
        note = Truncator(f"{host} does not answer: tried again later").chars(200)
        return Queued(name, note, clock.now() + left)

    def _after_a_crash(self, context: Any, outcome: Call) -> Outcome:
        """The run comes back with a call that nobody waits for any more. Its answer may be in hand
        all the same (the lease ran out meanwhile), or whoever made it has written it down."""
        made = Row.objects.filter(pk=context.run.call).first()
        answer = self.exchange.answer_to(context.run.call)
        self.lost(context.run)
        if calls.has_not_left(answer) or (made is not None and made.state == Row.State.FAILED):
            return outcome  # it never left
        if answer is None and made is not None:
            answer = calls.recalled(made)
        if answer is not None:
            return outcome.then(context, answer)
        if outcome.repeatable:
            return outcome
        return outcome.then(context, Failure(LOST, Kind.LOST, sent=True, took_us=0))

    def lost(self, run: Run) -> None:
        """The run's open call will never have an answer."""
        if run.call:
            self._orphans.append(run.call)
        run.call = None

    def fly(self, context: Any, outcome: Call, begun: int) -> None:
        """Note the intent of a call that `dial` let pass."""
        run: Run = context.run
        row = calls.intent(run, UUID(str(context.action.uid)), outcome)
        flight = Flight(run, context.event, outcome, row, context.inputs, context.missing, begun)
        name = queues.of_host(flight.host)
        told_to_try = queues.is_told(run, queues.TRY, name)
        if queues.came_from(run, queues.LIMIT):
            # It may have been told so before it had to wait for a slot.
            told_to_try = queues.is_shut(name)
        flight.tries = self.exchange.breaker.tries(flight.host) or told_to_try
        run.call, run.queue = row.pk, ""
        self.exchange.meant.add(row.pk)
        self.flights.append(flight)

    def write(self) -> None:
        """In the turn's transaction: the outcomes of the calls that came back, and the intents of
        those that will leave."""
        abandon(self._orphans)
        write_outcomes([flight for flight in self.landed if not flight.is_stale])
        write_late_outcomes([flight for flight in self.landed if flight.is_stale])
        rows.insert([flight.row for flight in self.flights])
        tried = {flight.host: flight.found for flight in self.landed if flight.tries}
        for host in [host for host, found in tried.items() if found is None]:
            self._untried.setdefault(queues.of_host(host), clock.now())
        queues.hear({host: found for host, found in tried.items() if found is not None})
        queues.let_others_try(self._untried)


def write_outcomes(flights: list[Flight]) -> None:
    """Settle the rows of calls that their runs go on from."""
    settled = []
    for flight in flights:
        if flight.answer is not None:
            calls.settle(flight.row, flight.answer)
            settled.append(flight.row)
    rows.update(settled, ["state", "response", "error", "took_us"])


def write_late_outcomes(flights: list[Flight]) -> None:
    """Settle the rows of calls whose runs have gone another way meanwhile: it is the truth. A row
    that was erased keeps nothing of the answer."""
    answers = {flight.row.pk: flight.answer for flight in flights if flight.answer is not None}
    if not answers:
        return
    given_up = (Row.State.SENDING, Row.State.UNKNOWN)
    open_rows = Row.objects.select_for_update().filter(pk__in=answers, state__in=given_up)
    for row in open_rows.order_by("pk"):
        answer = answers[row.pk]
        erased = not row.request
        if answer is not None:
            calls.settle(row, answer)
        if erased:
            row.response, row.error = {}, ""
        row.save(update_fields=["state", "response", "error", "took_us"])


def abandon(call_ids: list[UUID]) -> None:
    """These open calls were lost with their worker."""
    if call_ids:
        Row.objects.filter(pk__in=call_ids, state=Row.State.SENDING).update(
            state=Row.State.UNKNOWN, error=LOST
        )


def never_left(call_ids: list[UUID]) -> None:
    """These calls were committed, and their requests were not made."""
    if call_ids:
        Row.objects.filter(pk__in=call_ids, state=Row.State.SENDING).update(
            state=Row.State.FAILED, error="The request was not made."
        )


def abandon_stale() -> int:
    """Settle calls that are open long after every deadline: their runs were cancelled or ended
    while the worker was dead. Not those of a run in a worker's hands: the clock may have been put
    on while it waits for its answer. Returns how many."""
    stale = Row.objects.filter(state=Row.State.SENDING, at__lt=clock.now() - STALE)
    held = Run.objects.filter(pk=OuterRef("run_id"), state=Run.State.LEASED)
    stale = stale.filter(~Exists(held))
    return stale.update(state=Row.State.UNKNOWN, error=LOST)
