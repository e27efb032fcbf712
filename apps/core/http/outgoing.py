"""All requests that this process has under way, in shares: calls of runs, sends of messages.

One pool serves them, so that one wait hears of all. Each share has lines of its own, so that
requests of one kind can't take those of another. An answer stays here until whoever asked has
written it down (`over`): a database that is away for a while costs no answer.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from apps.core.clock import uptime
from apps.core.http.messages import Failure, Kind, Request, Response
from apps.core.http.pool import Pool
from apps.core.http.transfer import LATE

logger = logging.getLogger(__name__)

Answer = Response | Failure
# Answers requests that never leave this machine, all that were made at once together.
Local = Callable[[list[Request]], list[Response]]


class NotTaken(Exception):
    """Raised by what answers in this process: it certainly took none of the requests, so they may
    be made again. The message says why."""


NOT_MADE = Failure("The request could not be made.", Kind.REFUSED, sent=False, took_us=0)
TOO_LATE = Failure(LATE, Kind.LATE, sent=False, took_us=0)
# How many lines each share has.
SHARES = {"calls": 256, "sends": 64}
# The scheme of addresses that are answered in this process.
LOCAL = "local"
_locals: dict[str, Local] = {}


def answers_locally(name: str) -> Callable[[Local], Local]:
    """Decorator: what answers sends to `local://name/…`. (Calls of runs can't ask for it.)"""

    def register(handler: Local) -> Local:
        _locals[name] = handler
        return handler

    return register


class Share:
    """One kind of requests under way. Tokens are the caller's own."""

    def __init__(self, name: str, outgoing: "Outgoing") -> None:
        self._name, self._outgoing = name, outgoing
        self.capacity = SHARES[name]
        self._under_way: set[Hashable] = set()
        self._answers: dict[Hashable, Answer] = {}
        # An answer has come since `answered` was last asked.
        self.has_news = False

    @property
    def in_flight(self) -> int:
        """Requests whose answer was not written down yet."""
        return len(self._under_way) + len(self._answers)

    @property
    def room(self) -> int:
        return max(0, self.capacity - self.in_flight)

    def start(self, requests: Mapping[Hashable, Request], leave_by: float | None = None) -> None:
        """Make these requests now; each gets an answer, whatever happens. One that has not left
        by `leave_by` (uptime) does not leave any more."""
        here: dict[str, dict[Hashable, Request]] = defaultdict(dict)
        for token, request in requests.items():
            self._under_way.add(token)
            name = _local_name(request.url) if self._name == "sends" else None
            if name is not None:
                here[name][token] = request
                continue
            try:
                self._outgoing.pool.start((self._name, token), request, leave_by)
            except Exception:
                logger.exception("A request could not be made")
                self.take(token, NOT_MADE)
        try:
            self._outgoing.collect()  # what can leave leaves now
        except Exception:
            # All of these are on their way, whatever else has come.
            logger.exception("What has come could not be taken in")
        for name, asked in here.items():
            for token, answer in _answer_here(name, asked, leave_by).items():
                self.take(token, answer)

    def answered(self) -> dict[Any, Answer]:
        """The answers that are there. They stay until `over`."""
        self._outgoing.collect()
        self.has_news = False
        return dict(self._answers)

    def over(self, token: Hashable) -> None:
        """The answer was written down, or is of no use to anybody (even before it comes)."""
        self._under_way.discard(token)
        self._answers.pop(token, None)

    def take(self, token: Hashable, answer: Answer) -> None:
        """An answer has come."""
        if token in self._under_way:
            self._under_way.remove(token)
            self._answers[token] = answer
            self.has_news = True


class Outgoing:
    """The shares of a process, and the pool behind them."""

    def __init__(self, pool: Pool | None = None) -> None:
        self.pool = pool or Pool(capacity=sum(SHARES.values()))
        self._shares = {name: Share(name, self) for name in SHARES}

    def share(self, name: str) -> Share:
        return self._shares[name]

    @property
    def in_flight(self) -> int:
        return sum(share.in_flight for share in self._shares.values())

    def wait(self, seconds: float, wake: Iterable[int] = ()) -> None:
        """Until an answer has come or a descriptor of `wake` can be read, at most so long; not at
        all when there is an answer that nobody has seen yet."""
        news = any(share.has_news for share in self._shares.values())
        self._keep(self.pool.poll(0 if news else seconds, wake))

    def collect(self) -> None:
        """Take in what has come, without waiting."""
        self._keep(self.pool.poll(0))

    def withdraw(self) -> None:
        """Requests of which no byte has left don't leave any more; that is their answer."""
        self._keep(self.pool.withdraw())

    def _keep(self, results: Iterable[tuple[Any, Answer]]) -> None:
        for (name, token), answer in results:
            self._shares[name].take(token, answer)


def _local_name(url: str) -> str | None:
    parts = urlsplit(url)
    return parts.netloc if parts.scheme == LOCAL else None


def _answer_here(
    name: str, asked: Mapping[Hashable, Request], leave_by: float | None
) -> dict[Hashable, Answer]:
    if leave_by is not None and uptime() > leave_by:
        return dict.fromkeys(asked, TOO_LATE)
    try:
        answers: list[Any] = list(_locals[name](list(asked.values())))
    except NotTaken as error:
        refused = Failure(f"{name} took nothing: {error}"[:300], Kind.CONNECT, False, took_us=0)
        answers = [refused] * len(asked)
    except Exception as error:
        lost = Failure(f"{name} broke: {error}"[:300], Kind.LOST, sent=True, took_us=0)
        answers = [lost] * len(asked)
    return dict(zip(asked, answers, strict=True))


_mine: tuple[int, Outgoing] | None = None


def outgoing() -> Outgoing:
    """Those of this process: connections don't survive a fork."""
    global _mine
    if _mine is None or _mine[0] != os.getpid():
        _mine = (os.getpid(), Outgoing())
    return _mine[1]


def forget() -> None:
    """Drop them, as the end of the process would (tests)."""
    global _mine
    _mine = None
