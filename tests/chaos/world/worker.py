"""`manage.py work` as it would be on a host whose clock can be stepped, with short leases.

    python -m tests.chaos.world.worker CLOCK LEASE ADDRESS

CLOCK is a file that holds the seconds by which this host's clock is wrong. LEASE is in seconds, so
that a process that is stopped for a while wakes later than its leases last. ADDRESS is where the
outside takes messages.
"""

import os
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import django
from django.core.management import call_command

from tests.chaos.world.gateway import put_in_place

_true_time = time.time


class Offset:
    """Looked up whenever somebody asks for the time."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)
        self._seen, self._seconds = 0, 0.0

    @property
    def seconds(self) -> float:
        changed = os.stat(self.file).st_mtime_ns
        if changed != self._seen:
            text = Path(self.file).read_text()
            self._seen, self._seconds = changed, float(text or 0)
        return self._seconds


def step_clock(file: Path) -> None:
    """Let the product's clock read a host's time that may be wrong."""
    from apps.core import clock

    offset = Offset(file)

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=offset.seconds)

    clock.datetime = Stepped  # type: ignore[attr-defined, misc]
    time.time = lambda: _true_time() + offset.seconds


def shorten_leases(seconds: float) -> None:
    """In every module that has taken the constant over."""
    from apps.core import due

    whole = due.LEASE
    for name, module in list(sys.modules.items()):
        if name.startswith("apps.") and getattr(module, "LEASE", None) is whole:
            module.LEASE = timedelta(seconds=seconds)  # type: ignore[attr-defined]


if __name__ == "__main__":
    django.setup()
    from apps.engine import drain, sweep, turn  # noqa: F401  (so that their constants are there)
    from apps.messaging import delivery  # noqa: F401

    step_clock(Path(sys.argv[1]))
    shorten_leases(float(sys.argv[2]))
    put_in_place(sys.argv[3])
    call_command("work")
