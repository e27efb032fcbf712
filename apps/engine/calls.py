"""Calls under way: what the runs in hand have asked the outside, in this process."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from apps.connectors import outcomes
from apps.core import clock
from apps.core.http.messages import Failure, Request, Response
from apps.core.http.pool import Pool
from apps.core.http.redaction import MASK, without
from apps.engine.breaker import Breaker
from apps.engine.models import Call, Event, Run

Answer = Response | Failure

# An answer's body as it is kept for people, in characters.
BODY_KEPT = 100_000
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

    @property
    def host(self) -> str:
        return host_of(self.outcome.request.url)


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
    row.took_us = answer.took_us
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


class Exchange:
    """The calls of this process. Made after the fork; dropped calls end as unknown."""

    def __init__(self, pool: Pool | None = None) -> None:
        self.pool = pool or Pool()
        self.breaker = Breaker()
        # Its drain only waits for the calls under way and makes no more.
        self.closing = False
        self._flights: dict[UUID, Flight] = {}
        self._by_connector: Counter[int] = Counter()
        self._waiting: list[tuple[Any, Answer]] = []

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    @property
    def asking(self) -> list[int]:
        """The runs that these calls are of."""
        return [flight.run.pk for flight in self._flights.values()]

    @property
    def room(self) -> int:
        """How many more runs may come to hand: each may call at once."""
        return self.pool.room

    def crowded(self) -> list[int]:
        """Connectors that hold half of all lines: they get no more while others may want some."""
        half = self.pool.capacity // 2
        return [connector for connector, held in self._by_connector.items() if held >= half]

    def start(self, flights: Iterable[Flight]) -> None:
        """Make the requests of committed intents; they leave at once."""
        for flight in flights:
            self._flights[flight.row.pk] = flight
            self._by_connector[flight.run.connector_id] += 1
            self.pool.start(flight.row.pk, keyed(flight.outcome.request, flight.row))
        self.wait(0)

    def wait(self, seconds: float, wake: Iterable[int] = ()) -> None:
        """Until a call has ended or a descriptor of `wake` can be read, at most so long; not at all
        when there is an answer already."""
        self._waiting += self.pool.poll(0 if self._waiting else seconds, wake)

    def answers(self) -> list[Flight]:
        """The flights that have ended, each with its answer."""
        ended = []
        results, self._waiting = [*self._waiting, *self.pool.poll(0)], []
        for key, answer in results:
            flight = self._flights.pop(key)
            self._by_connector[flight.run.connector_id] -= 1
            flight.answer = without(flight.outcome.secrets, answer)
            self.breaker.saw(flight.host, answer)
            ended.append(flight)
        return ended


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


def deadline(flights: Iterable[Flight]) -> timedelta:
    """When the last of them has an answer at the latest."""
    return timedelta(seconds=max((f.outcome.request.deadline for f in flights), default=0.0))
