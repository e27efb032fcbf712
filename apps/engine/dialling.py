"""May a call be made now, and what stands for it in the database before it leaves and after."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.utils.text import Truncator

from apps.connectors.outcomes import Call, Outcome, Wait
from apps.core import clock, rows
from apps.core.http.messages import Failure, Kind
from apps.engine import calls
from apps.engine.calls import Exchange, Flight, host_of
from apps.engine.limits import Slots
from apps.engine.models import Call as Row
from apps.engine.models import Run

LOST = "The answer was lost: the worker ended while the call was under way."
OVER_LIMIT = "Rate Limit Exceeded"
STALE = timedelta(minutes=10)


class Calls:
    """The calls of one turn: those that came back, and those that leave when it is committed."""

    def __init__(self, exchange: Exchange | None = None) -> None:
        self._exchange = exchange
        self._slots = Slots()
        self._orphans: list[int] = []
        self.flights: list[Flight] = []
        self.landed: list[Flight] = []

    @property
    def exchange(self) -> Exchange:
        return self._exchange or calls.exchange()

    def dial(self, context: Any, outcome: Outcome) -> Outcome:
        """`outcome` if its call can be made now; else what comes of that: a wait, or whatever the
        action makes of a failure."""
        if isinstance(outcome, Call) and context.run.calling:
            outcome = self._after_a_crash(context, outcome)
        while isinstance(outcome, Call):
            host = host_of(outcome.request.url)
            parked = self.exchange.breaker.parked_until(host)
            if parked is not None:
                note = Truncator(f"{host} does not answer: tried again later").chars(200)
                return Wait(parked, note=note, again=True)
            free_at = self._slots.take()
            if free_at is None:
                return outcome
            if outcome.waits:
                return Wait(free_at, note="Waits for a free slot of the rate limit", again=True)
            failure = Failure(OVER_LIMIT, Kind.LIMITED, sent=False, took_us=0)
            outcome = outcome.then(context, failure)
        return outcome

    def _after_a_crash(self, context: Any, outcome: Call) -> Outcome:
        """The run comes back with a call that nobody waits for any more."""
        self.lost(context.run)
        if outcome.repeatable:
            return outcome
        return outcome.then(context, Failure(LOST, Kind.LOST, sent=True, took_us=0))

    def lost(self, run: Run) -> None:
        """The run's open call will never have an answer."""
        run.calling = False
        self._orphans.append(run.pk)

    def fly(self, context: Any, outcome: Call, begun: int) -> None:
        """Note the intent of a call that `dial` let pass."""
        run: Run = context.run
        run.calling = True
        row = calls.intent(run, UUID(str(context.action.uid)), outcome)
        self.flights.append(
            Flight(run, context.event, outcome, row, context.inputs, context.missing, begun)
        )

    def write(self) -> None:
        """In the turn's transaction: the outcomes of the calls that came back, and the intents of
        those that will leave."""
        abandon(self._orphans)
        write_outcomes(self.landed)
        rows.insert([flight.row for flight in self.flights])


def write_outcomes(flights: list[Flight]) -> None:
    """Settle the rows of calls that ended, whatever became of their runs: it is the truth."""
    settled = []
    for flight in flights:
        if flight.answer is not None:
            calls.settle(flight.row, flight.answer)
            settled.append(flight.row)
    rows.update(settled, ["state", "response", "error", "took_us"])


def abandon(run_ids: list[int]) -> None:
    """The open calls of these runs were lost with their worker."""
    if run_ids:
        Row.objects.filter(run__in=run_ids, state=Row.State.SENDING).update(
            state=Row.State.UNKNOWN, error=LOST
        )


def abandon_stale() -> int:
    """Settle calls that are open long after every deadline: their runs were cancelled or ended
    while the worker was dead. Not those of a run in a worker's hands: the clock may have been put
    on while it waits for its answer. Returns how many."""
    stale = Row.objects.filter(state=Row.State.SENDING, at__lt=clock.now() - STALE)
    held = Run.objects.filter(pk=OuterRef("run_id"), state=Run.State.LEASED)
    stale = stale.filter(~Exists(held))
    return stale.update(state=Row.State.UNKNOWN, error=LOST)
