"""Hosts that don't answer: their runs queue (queues.py) instead of failing one after the other."""

from datetime import timedelta

from apps.core import clock
from apps.core.http.messages import Failure, Kind, Response
from apps.engine.queues import PAUSE

# After so many calls in a row that found nobody, runs pause; then one call tries again.
FAILURES = 5
_NOBODY = {Kind.DNS, Kind.CONNECT, Kind.TLS, Kind.TIMEOUT, Kind.LOST}
_OVERLOADED = {502, 503, 504}


class Breaker:
    """What one process has seen of each host lately; forgotten when it ends."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        # By clock.steady().
        self._paused_until: dict[str, timedelta] = {}

    def left_of_pause(self, host: str) -> timedelta | None:
        """How long the host is left alone, yet; None to go ahead."""
        until = self._paused_until.get(host)
        if until is None or until <= clock.steady():
            return None
        return until - clock.steady()

    def tries(self, host: str) -> bool:
        """Whether whoever goes ahead now is the one that tries, after a pause: all others wait for
        what becomes of it."""
        if host not in self._paused_until:
            return False
        self._paused_until[host] = clock.steady() + PAUSE
        return True

    def saw(self, host: str, answer: Response | Failure) -> bool | None:
        """Learn from a call's outcome; returns whether the host answered, None if that can't be
        said of it."""
        if isinstance(answer, Failure) and answer.kind is not Kind.TOO_LARGE:
            if answer.kind not in _NOBODY:
                return None
        elif isinstance(answer, Failure) or answer.status not in _OVERLOADED:
            self._failures.pop(host, None)
            self._paused_until.pop(host, None)
            return True
        self._failures[host] = self._failures.get(host, 0) + 1
        if self._failures[host] >= FAILURES:
            self._paused_until[host] = clock.steady() + PAUSE
        return False
