"""Notices for those who run the installation: it refuses to work, and nobody's data is at fault.

One notice for a stretch of the same trouble, however many workers meet it however often. Where the
trouble keeps the notice itself from being written, it is written when that is over.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from apps.core import clock
from apps.core.clock import uptime
from apps.core.models import Notice
from apps.core.trouble import DATABASE_ERRORS, what_forbids_writing

logger = logging.getLogger(__name__)

# A process repeats itself this often at most (seconds), so a notice younger than CURRENT goes on.
EVERY = 10.0
CURRENT = timedelta(minutes=1)
# The same words after a longer pause are a new notice.
SAME_STRETCH = timedelta(minutes=15)
KEPT = timedelta(days=30)


@dataclass
class _Unwritten:
    first_at: datetime
    last_at: datetime
    times: int = 0


_said: dict[str, float] = {}
_unwritten: dict[str, _Unwritten] = {}


def tell(text: str) -> None:
    """Tell operators what is wrong. Never raises: it is called when things are broken."""
    text = text[:300]
    now = clock.now()
    waiting = _unwritten.setdefault(text, _Unwritten(now, now))
    waiting.last_at, waiting.times = now, waiting.times + 1
    if uptime() - _said.get(text, -EVERY) >= EVERY:
        _said[text] = uptime()
        logger.error("The installation is in trouble: %s", text)
        _write()


def over() -> None:
    """The trouble is over: write what could not be written in it."""
    if _unwritten:
        _write()
    _said.clear()


def _write() -> None:
    for text, told in list(_unwritten.items()):
        try:
            with transaction.atomic():
                _store(text, told)
        except DATABASE_ERRORS as error:
            logger.warning("A notice waits to be written: %s", error)
            return
        del _unwritten[text]


def _store(text: str, told: _Unwritten) -> None:
    going_on = Notice.objects.filter(text=text, last_at__gte=told.first_at - SAME_STRETCH)
    if not going_on.update(last_at=told.last_at, times=F("times") + told.times):
        Notice.objects.create(
            text=text, first_at=told.first_at, last_at=told.last_at, times=told.times
        )


def current() -> Notice | None:
    """The trouble that is going on now; the newest, if there is more than one. That nothing can be
    written is seen here: no worker could write it down."""
    if (text := what_forbids_writing()) is not None:
        return Notice(text=text, first_at=clock.now(), last_at=clock.now())
    return Notice.objects.filter(last_at__gte=clock.now() - CURRENT).order_by("-last_at").first()


def prune() -> int:
    """Drop old notices; returns how many."""
    return Notice.objects.filter(last_at__lt=clock.now() - KEPT).delete()[0]
