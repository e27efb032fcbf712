"""Hosts that don't answer: their runs park instead of failing one after the other."""

from datetime import datetime, timedelta

from apps.core import clock
from apps.core.http.messages import Failure, Kind, Response

# After so many calls in a row that found nobody, runs pause for so long; then one call tries again.
FAILURES = 5
PAUSE = timedelta(seconds=30)
_NOBODY = {Kind.DNS, Kind.CONNECT, Kind.TLS, Kind.TIMEOUT, Kind.LOST}
_OVERLOADED = {502, 503, 504}


class Breaker:
    """What one process has seen of each host lately; forgotten when it ends."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        # By clock.steady().
        self._paused_until: dict[str, timedelta] = {}

    def parked_until(self, host: str) -> datetime | None:
        """When to come again; None to go ahead. Whoever goes ahead after a pause is the one that
        tries: all others wait for what becomes of it."""
        until = self._paused_until.get(host)
        if until is None:
            return None
        left = until - clock.steady()
        if left > timedelta():
            return clock.now() + left
        self._paused_until[host] = clock.steady() + PAUSE
        return None

    def saw(self, host: str, answer: Response | Failure) -> None:
        """Learn from a call's outcome."""
        if isinstance(answer, Failure):
            if answer.kind not in _NOBODY:
                return
        elif answer.status not in _OVERLOADED:
            self._failures.pop(host, None)
            self._paused_until.pop(host, None)
            return
        self._failures[host] = self._failures.get(host, 0) + 1
        if self._failures[host] >= FAILURES:
            self._paused_until[host] = clock.steady() + PAUSE
