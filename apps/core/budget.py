"""What filling in attributes may cost: so much CPU time, whatever a payload and a text hold.

Time is looked at where Liquid goes on: at each filter, each `assign` and each round of a loop. What
goes on for long without any of these is bounded by the sizes that a filter takes (filters.py); and
in a drain, which renders in its main thread, a timer of the kernel breaks off what still isn't.
"""

import gc
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, thread_time
from types import FrameType
from typing import Any

from django.conf import settings
from liquid.exceptions import LiquidError

# The timer breaks off after so many times the budget: it is for what the looks don't see.
HARD_STOP = 2
# CPU seconds between two ticks of it.
TICK = 0.05
# All that is filled in for one action may be so many times as long as one text.
MOST_TEXTS = 4


class Exhausted(LiquidError):
    """The budget is used up, or the text needs more memory than there is."""


class Budget:
    """CPU seconds for rendering in this thread. The clock on the wall is looked at first: it costs
    next to nothing, and what took no time took no CPU time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._passed = 0.0
        self._since: float | None = None
        self._cpu_before: float | None = None
        self._collecting_before = 0.0
        self._written = 0
        self._sizes: dict[int, int] = {}

    @contextmanager
    def spend(self) -> Iterator[None]:
        """Count what happens inside. Raises Exhausted."""
        if self._since is not None:
            yield
            return
        if self._cpu_before is None:
            self._cpu_before, self._collecting_before = thread_time(), _mine.collecting
        self._since = begun = perf_counter()
        try:
            yield
        except MemoryError:
            raise Exhausted("it needs too much memory", token=None) from None
        finally:
            self._passed += perf_counter() - begun
            self._since = None

    def wrote(self, value: Any) -> None:
        """Count what was filled in: a text, or what stands in JSON. Raises Exhausted."""
        if isinstance(value, dict | list):
            # The same list may stand in a document a hundred times.
            if id(value) not in self._sizes:
                self._sizes[id(value)] = len(json.dumps(value, default=str))
            self._written += self._sizes[id(value)]
        elif isinstance(value, str):
            self._written += len(value)
        if self._written > MOST_TEXTS * settings.RENDER_BYTES:
            raise Exhausted("its texts are too long altogether", token=None)

    def look(self, times: int = 1) -> None:
        """Raises Exhausted when the budget is used up so many times over."""
        if self._since is None or self._cpu_before is None:
            return
        most = self._seconds * times
        if self._passed + perf_counter() - self._since < most:
            return
        collecting = _mine.collecting - self._collecting_before
        if thread_time() - self._cpu_before - collecting > most:
            raise Exhausted(f"it takes longer than {settings.RENDER_MS:,} ms", token=None)


class _Mine(threading.local):
    budget: Budget | None = None
    # CPU seconds of full collections of garbage in this thread: no text is to blame for these.
    collecting = 0.0
    _since = 0.0

    def collected(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] == 2:
            if phase == "start":
                self._since = thread_time()
            else:
                self.collecting += thread_time() - self._since


_mine = _Mine()
gc.callbacks.append(_mine.collected)


class one_budget:
    """All that is rendered inside shares one budget: the one around it, if there is one. (A class,
    since every action enters it: a generator takes three times as long.)"""

    __slots__ = ("_is_outermost",)

    def __enter__(self) -> Budget:
        budget = _mine.budget
        self._is_outermost = budget is None
        if budget is None:
            budget = _mine.budget = Budget(settings.RENDER_MS / 1000)
        return budget

    def __exit__(self, *raised: object) -> None:
        if self._is_outermost:
            _mine.budget = None


def wrote(value: Any) -> None:
    """For the budget of what is rendered now, if there is one."""
    if _mine.budget is not None:
        _mine.budget.wrote(value)


def current() -> Budget:
    """The budget of what is rendered now in this thread."""
    budget = _mine.budget
    assert budget is not None, "only inside one_budget()"
    return budget


# --- the hard stop --------------------------------------------------------------------------------


def watch_main_thread() -> None:
    """From now on, a timer looks at the budget of the main thread as well. (Only the main thread
    gets signals.)"""
    signal.signal(signal.SIGVTALRM, _tick)
    signal.setitimer(signal.ITIMER_VIRTUAL, TICK, TICK)


def stop_watching() -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)


def _tick(signum: int, frame: FrameType | None) -> None:
    if _mine.budget is not None:
        _mine.budget.look(HARD_STOP)
