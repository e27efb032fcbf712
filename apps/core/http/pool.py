"""Many calls at once in one thread: libcurl's multi interface behind `start` and `poll`."""

import logging
import os
import select
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any

import pycurl

from apps.core.http.guard import Guard
from apps.core.http.messages import Failure, Request, Response
from apps.core.http.resting import Resting
from apps.core.http.transfer import Transfer
from apps.core.http.urls import Refused

logger = logging.getLogger(__name__)

Result = tuple[Any, Response | Failure]

_WATCH = {
    pycurl.POLL_IN: select.POLLIN,
    pycurl.POLL_OUT: select.POLLOUT,
    pycurl.POLL_INOUT: select.POLLIN | select.POLLOUT,
}


class Pool:
    """Calls in flight, and the connections they share.

    Of one process and one thread: connections don't survive a fork, so a worker makes its own.
    `capacity` bounds the calls in flight, and the connections that are kept. A limit for each host
    is the caller's business.
    """

    def __init__(self, guard: Guard | None = None, capacity: int = 256) -> None:
        self.capacity = capacity
        self._guard = guard or Guard.from_settings()
        self._process = os.getpid()
        self._poller = select.poll()
        self._wake_at: float | None = None
        self._running: dict[pycurl.Curl, Transfer] = {}
        self._idle: list[Transfer] = []
        self._resting = Resting()
        self._done: deque[Result] = deque()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, capacity)
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_NOTHING)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    @property
    def in_flight(self) -> int:
        """Calls started whose result `poll` has not handed out yet."""
        return len(self._running) + len(self._done)

    @property
    def room(self) -> int:
        """How many more may be started now."""
        return max(0, self.capacity - self.in_flight)

    def start(self, token: Hashable, request: Request, leave_by: float | None = None) -> None:
        """Begin a call; `poll` hands out its result under `token`. A request that is refused has
        a result too, and so has one that could not leave before `leave_by` (uptime). Raises
        RuntimeError when there is no room."""
        self._check_process()
        if not self.room:
            raise RuntimeError("The pool is full.")
        transfer = self._idle.pop() if self._idle else Transfer(self._guard, self._resting)
        try:
            transfer.begin(token, request, leave_by)
        except Refused as refused:
            self._finish(transfer, transfer.refused(str(refused)))
            return
        self._running[transfer.easy] = transfer
        self._multi.add_handle(transfer.easy)

    def poll(self, timeout: float, wake: Iterable[int] = ()) -> list[Result]:
        """Work on the calls for up to `timeout` seconds and hand out what has ended.

        Returns as soon as there is a result, or when one of the file descriptors `wake` becomes
        readable (a database connection that listens). With 0 it only looks.
        """
        self._check_process()
        wake = frozenset(wake)
        until = time.monotonic() + timeout
        for descriptor in wake:
            self._poller.register(descriptor, select.POLLIN)
        try:
            woken = self._step(0 if self._done else timeout, wake)
            while not self._done and not woken and (left := until - time.monotonic()) > 0:
                woken = self._step(left, wake)
        finally:
            for descriptor in wake:
                self._poller.unregister(descriptor)
        results = list(self._done)
        self._done.clear()
        return results

    def withdraw(self) -> list[Result]:
        """Take back the calls of which no byte has left: from now on none will. Returns them as
        results."""
        self._check_process()
        taken: list[Result] = []
        for easy, transfer in list(self._running.items()):
            if not transfer.has_left:
                self._multi.remove_handle(easy)
                taken.append((transfer.token, transfer.withdrawn()))
                del self._running[easy]
                transfer.rest()
                self._idle.append(transfer)
        return taken

    def close(self) -> None:
        """Drop every call and every connection; results not handed out are lost."""
        for transfer in self._running.values():
            self._multi.remove_handle(transfer.easy)
        for transfer in (*self._running.values(), *self._idle):
            transfer.easy.close()
        self._running.clear()
        self._idle.clear()
        self._multi.close()

    # --- The loop ------------------------------------------------------------------------------

    def _step(self, seconds: float, wake: frozenset[int]) -> bool:
        """Wait once and let libcurl work; whether a descriptor of `wake` was the reason."""
        woken = False
        if self._wake_at is not None:
            seconds = min(seconds, self._wake_at - time.monotonic())
        # Rounded up, so that the timer is due when the wait is over.
        for descriptor, events in self._poller.poll(max(0, int(seconds * 1000 + 0.999))):
            if descriptor in wake:
                woken = True
            else:
                self._multi.socket_action(descriptor, _happened(events))
        if self._wake_at is not None and self._wake_at <= time.monotonic():
            self._wake_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()
        return woken

    def _collect(self) -> None:
        more = 1
        while more:
            more, answered, broken = self._multi.info_read()
            for easy in answered:
                self._running[easy].keep()
                self._multi.remove_handle(easy)
                self._end(easy, self._running[easy].answered)
            for easy, errno, message in broken:
                self._multi.remove_handle(easy)
                self._end(easy, partial(self._running[easy].broken, errno, message))

    def _end(self, easy: pycurl.Curl, read: Callable[[], Response | Failure | None]) -> None:
        """Whatever a server sent: each call ends, and none in the way of the others."""
        try:
            result = read()
        except Exception:
            logger.exception("An answer could not be read")
            result = self._running[easy].unreadable()
        if result is None:  # another hop
            self._multi.add_handle(easy)
        else:
            self._finish(self._running.pop(easy), result)

    def _finish(self, transfer: Transfer, result: Response | Failure) -> None:
        self._done.append((transfer.token, result))
        transfer.rest()
        self._idle.append(transfer)

    # --- Called by libcurl ---------------------------------------------------------------------

    def _watch(self, what: int, descriptor: int, multi: object, data: object) -> None:
        if what in _WATCH:
            self._poller.register(descriptor, _WATCH[what])
        else:
            self._poller.unregister(descriptor)

    def _set_timer(self, milliseconds: int) -> None:
        """libcurl wants to be called after so long. (Not from in here: it is not re-entrant.)"""
        self._wake_at = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("A pool belongs to the process that made it.")


def _happened(events: int) -> int:
    mask = 0
    if events & (select.POLLIN | select.POLLHUP):
        mask |= pycurl.CSELECT_IN
    if events & select.POLLOUT:
        mask |= pycurl.CSELECT_OUT
    if events & (select.POLLERR | select.POLLNVAL):
        mask |= pycurl.CSELECT_ERR
    return int(mask)
