"""The process of `manage.py work` itself. It starts the others (drains, and one cluster of Django-Q
for ordinary tasks), starts anew whatever ends or hangs, each by itself, and stops them when asked.

It does nothing that may take long: no database, no network.
"""

import logging
import os
import select
import signal
from collections.abc import Callable
from time import monotonic
from typing import Any

from apps.core.processes import die_with_parent
from apps.engine.floor import Watch
from apps.engine.posts import DrainPost, Post

logger = logging.getLogger(__name__)

# A drain that gives no sign of life for so many seconds is killed.
HANGS = 60.0
# All have so many seconds to end when we are asked to stop; then they are killed.
STOPS = 8.5
# Seconds between two looks at the signs of life. If we could not look for far longer, we were
# stopped ourselves, and a drain that was stopped with us does not hang.
LOOKS_EVERY, OVERSLEPT = 0.5, 5.0


class Supervisor:
    def __init__(self, drains: int) -> None:
        watch = Watch()
        self._posts: list[Post] = [Post(), *(DrainPost(seat, watch) for seat in range(drains))]
        # Processes that give back what a dead drain held.
        self._helpers: set[int] = set()
        self._stopping = False
        self._awake_since = self._looked_at = monotonic()
        # A signal makes the first end readable, so that no sleep outlasts it.
        self._signals, self._signalled = os.pipe()

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and the end of all others."""
        self._hear_signals()
        while not self._stopping:
            self._fill()
            self._sleep(min([LOOKS_EVERY, *(post.wait() for post in self._posts if not post.pid)]))
            self._reap()
            self._look()
        until = monotonic() + STOPS
        self._tell_all(signal.SIGTERM)
        while self._below() and (left := until - monotonic()) > 0:
            self._sleep(left)
            self._reap()
        self._tell_all(signal.SIGKILL)
        while self._below():
            self._sleep(LOOKS_EVERY)
            self._reap()

    def _hear_signals(self) -> None:
        for end in (self._signals, self._signalled):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._signalled, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _asked_to_stop(self, signum: int, frame: Any) -> None:
        self._stopping = True

    def _sleep(self, seconds: float) -> None:
        """So long, or until a signal comes: somebody wants us to stop, or a child has ended."""
        if select.select([self._signals], [], [], seconds)[0]:
            os.read(self._signals, 4096)

    # --- Starting and stopping -------------------------------------------------------------------

    def _below(self) -> set[int]:
        """Who lives, or has ended and was not noticed yet."""
        return {post.pid for post in self._posts if post.pid} | self._helpers

    def _fill(self) -> None:
        for post in self._posts:
            if post.pid or post.wait() or self._stopping:
                continue
            post.begin()
            try:
                post.pid = self._fork(post.main)
            except OSError as error:  # no memory, too many processes
                post.ended(f"could not be started ({error})")

    def _fork(self, main: Callable[[], int]) -> int:
        """The id of a new process that does `main` and ends with the status that it returns."""
        parent = os.getpid()
        if pid := os.fork():
            return pid
        status = 1
        try:
            die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # Ctrl-C reaches all of a terminal's group; we stop them in order.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            # Asked between the fork and here, we have noted it for nobody.
            status = 0 if self._stopping else main()
        except BaseException:
            logger.exception("A background process could not go on")
        finally:
            os._exit(status)

    def _tell_all(self, number: int) -> None:
        for pid in self._below():
            os.kill(pid, number)

    # --- Watching --------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Note who has ended."""
        while self._below():
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._helpers.discard(pid)
            for post in [post for post in self._posts if post.pid == pid]:
                self._note_end(post, os.waitstatus_to_exitcode(status))

    def _note_end(self, post: Post, code: int) -> None:
        if self._stopping:
            post.pid = 0
            return
        if post.is_left:
            self._posts.remove(post)
        else:
            post.ended(f"was killed by signal {-code}" if code < 0 else f"ended with status {code}")
        if code and isinstance(post, DrainPost) and post.slot.owner:
            try:
                self._helpers.add(self._fork(post.give_back))
            except OSError as error:
                logger.warning("The sweep will give back what %s held: %s", post.name, error)

    def _look(self) -> None:
        """Kill who hangs, and give the place of a drain that leaves to another."""
        now = monotonic()
        if now - self._looked_at > OVERSLEPT:
            self._awake_since = now
        self._looked_at = now
        for post in list(self._posts):
            if post.pid and now - max(post.lives_since(), self._awake_since) > HANGS:
                logger.error("%s gives no sign of life and is killed", post.name)
                os.kill(post.pid, signal.SIGKILL)
            if isinstance(post, DrainPost) and post.slot.leaves.value and not post.is_left:
                post.is_left = True
                self._posts.append(DrainPost(post.seat, post.watch))
