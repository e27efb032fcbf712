"""Calls under way: what the runs in hand have asked the outside, in this process."""

import os
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from apps.connectors import outcomes
from apps.core import clock
from apps.core.clock import uptime
from apps.core.http.messages import Failure, Kind, Request, Response
from apps.core.http.outgoing import Answer, Share, outgoing
from apps.core.http.outgoing import forget as forget_outgoing
from apps.core.http.redaction import MASK, without
from apps.engine.breaker import Breaker
from apps.engine.models import Call, Event, Run

# An answer's body as it is kept for people, in characters.
BODY_KEPT = 100_000
# A process may be stopped for hours with a call under way; what it took fits into its column.
MOST_US = 2**31 - 1
_SECRET_HEADERS = {"set-cookie", "www-authenticate", "authorization", "proxy-authenticate"}


@dataclass
class Flight:
    """A run that waits for an answer, and all that it takes to go on with it."""

    run: Run
    event: Event
    outcome: outcomes.Call
    row: Call
    # What the action took in so far, and when it began (perf_counter_ns), for the timeline.
    inputs: dict[str, Any]
    missing: list[str]
    begun: int
    answer: Answer | None = None
    # An answer that could not be written down for a reason of its own rests until then (uptime).
    rests_until: float = 0.0
    # It tries whether a silent host answers again; and what was found, when it has landed.
    tries: bool = False
    found: bool | None = None
    # Its run has gone another way: only the log of calls is still to be told.
    is_stale: bool = False
    # `name:port` of the server that is asked.
    host: str = field(init=False)

    def __post_init__(self) -> None:
        self.host = host_of(self.outcome.request.url)


def has_not_left(answer: Answer | None) -> bool:
    """The request came too late to leave, and did not."""
    return isinstance(answer, Failure) and answer.kind is Kind.LATE


def host_of(url: str) -> str:
    """`name:port` in lower case; empty for what is no URL."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def intent(run: Run, action_uid: UUID, outcome: outcomes.Call) -> Call:
    """The row that is committed before the request leaves."""
    return Call(
        run_id=run.pk,
        passage=run.passage,
        action_uid=action_uid,
        idempotency_key=str(uuid5(action_uid, f"{run.pk}:{run.passage}:{outcome.part}")),
        request=dict(outcome.shown),
        at=clock.now(),
    )


def keyed(request: Request, row: Call) -> Request:
    """The request as it leaves: with the key by which a server can tell a repetition."""
    if any(name.lower() == "idempotency-key" for name, _ in request.headers):
        return request
    key = ("Idempotency-Key", row.idempotency_key)
    return replace(request, headers=(*request.headers, key))


def settle(row: Call, answer: Answer) -> None:
    """Set what became of it, as people may see it."""
    row.took_us = min(answer.took_us, MOST_US)
    if isinstance(answer, Failure):
        row.state = Call.State.UNKNOWN if answer.sent else Call.State.FAILED
        row.error = answer.reason[:300]
        return
    row.state = Call.State.ANSWERED
    text = answer.body.decode("utf-8", "replace")
    row.response = {
        "status": answer.status,
        "reason": answer.reason,
        "headers": [
            [name, MASK if name.lower() in _SECRET_HEADERS else value]
            for name, value in answer.headers
        ],
        "body": text if len(text) <= BODY_KEPT else text[:BODY_KEPT] + "… (cut)",
    }


def recalled(row: Call) -> Response | None:
    """The answer that a settled call had, as far as its log tells all of it."""
    kept = row.response
    if row.state != Call.State.ANSWERED or not kept:
        return None
    # Masked, cut, or no text: what is kept is not what came.
    if MASK in kept["body"] or "\ufffd" in kept["body"] or len(kept["body"]) > BODY_KEPT:
        return None
    return Response(
        status=kept["status"],
        reason=kept["reason"],
        headers=tuple((name, value) for name, value in kept["headers"]),
        body=kept["body"].encode(),
        url=str(row.request.get("url", "")),
        took_us=row.took_us,
    )


class Exchange:
    """The calls of this process, in the share that runs have of all its requests. A flight stays
    until its answer is committed (`over`)."""

    def __init__(self, share: Share | None = None) -> None:
        self._share = share or outgoing().share("calls")
        self.breaker = Breaker()
        # Its drain only waits for the calls under way and makes no more.
        self.closing = False
        # Calls that a turn of this process meant to make, and of which it has made none: whether
        # they were committed may be unknown.
        self.meant: set[UUID] = set()
        self._flights: dict[UUID, Flight] = {}
        self._by_connector: Counter[int] = Counter()

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    @property
    def room(self) -> int:
        """How many more runs may come to hand: each may call at once."""
        return self._share.room

    def ids(self) -> list[UUID]:
        """The calls that are under way or whose answers are not written down yet."""
        return list(self._flights)

    def crowded(self) -> list[int]:
        """Connectors that hold half of all lines: they get no more while others may want some."""
        half = self._share.capacity // 2
        return [connector for connector, held in self._by_connector.items() if held >= half]

    def start(self, flights: Iterable[Flight], leave_by: float | None = None) -> None:
        """Make the requests of committed intents; they leave at once, or not after `leave_by`.
        Asked twice for the same flight, it makes one request."""
        requests: dict[Hashable, Request] = {}
        for flight in flights:
            self.meant.discard(flight.row.pk)
            if flight.row.pk in self._flights:
                continue
            self._flights[flight.row.pk] = flight
            self._by_connector[flight.run.connector_id] += 1
            requests[flight.row.pk] = keyed(flight.outcome.request, flight.row)
        if requests:
            self._share.start(requests, leave_by)

    def answers(self) -> list[Flight]:
        """The flights that have ended, each with its answer: the same ones until they are over.
        Those that could not be written down for a reason of their own come when it is time."""
        now, ended = uptime(), []
        for key, answer in self._share.answered().items():
            flight = self._flights[key]
            if flight.answer is None:
                flight.answer = without(flight.outcome.secrets, answer)
                flight.found = self.breaker.saw(flight.host, answer)
            if flight.rests_until <= now:
                ended.append(flight)
        return ended

    def answer_to(self, call: UUID) -> Answer | None:
        """What the call was answered, if this process has that in hand."""
        flight = self._flights.get(call)
        return flight.answer if flight is not None else None

    def over(self, flight: Flight) -> None:
        """What came of the flight is committed, or it has nobody to go to."""
        if self._flights.pop(flight.row.pk, None) is not None:
            self._by_connector[flight.run.connector_id] -= 1
            self._share.over(flight.row.pk)

    def let_go(self) -> list[Flight]:
        """Forget the calls that have no answer yet, on purpose; returns them."""
        under_way = [flight for flight in self._flights.values() if flight.answer is None]
        for flight in under_way:
            self.over(flight)
        return under_way


_exchange: tuple[int, Exchange] | None = None


def exchange() -> Exchange:
    """Those of this process."""
    global _exchange
    if _exchange is None or _exchange[0] != os.getpid():
        _exchange = (os.getpid(), Exchange())
    return _exchange[1]


def forget() -> None:
    """Drop them, as the end of the process would (tests)."""
    global _exchange
    _exchange = None
    forget_outgoing()


def deadline(flights: Iterable[Flight]) -> timedelta:
    """When the last of them has an answer at the latest."""
    return timedelta(seconds=max((f.outcome.request.deadline for f in flights), default=0.0))
