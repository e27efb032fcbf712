"""A drain: a process that takes turns over the lanes of due rows for as long as it lives.

It ends only on purpose, when it is asked to or has grown too large. Whatever else happens to it, a
lost database above all, it waits, tries again, and keeps the calls that it has under way.
"""

import logging
import os
import signal
from contextlib import suppress
from datetime import UTC, datetime
from math import inf
from time import monotonic, sleep
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.db.backends.signals import connection_created

from apps.core import budget, clock, heart, notices
from apps.core.due import is_postgresql, owner
from apps.core.http.outgoing import outgoing
from apps.core.trouble import is_installations, sentence
from apps.engine import bell, calls, rounds
from apps.engine.agenda import Agenda, look
from apps.engine.bell import LOOKS_EVERY, SQLITE_LOOKS_EVERY
from apps.engine.floor import Slot, Watch
from apps.engine.rounds import round_of_lanes

logger = logging.getLogger(__name__)

HANGS_AFTER = 10
# After a look found rows due that could not be taken (an earlier message to the same address is
# under way, another host was faster), the next one comes after so many seconds.
BARREN_PAUSE = 0.1
# The drain on watch gets so many seconds to take what the bell rang for; then others look, too.
LEAD = 0.02
# Seconds between two tries while there is trouble: doubled from the first to the last.
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0
# A wait in the midst of trouble or of the end is cut in such pieces, to show a sign of life.
PIECE = 0.5
# Seconds that calls under way get to end when the drain is asked to stop.
GRACE = 6.0
# A drain that holds more memory than this makes way for a new one; looked at once a minute.
LARGE = 512 * 1024**2
MEMORY_LOOKS_EVERY = 60.0

# What the bell mostly means, so that it is not looked up first.
RANG = Agenda({"runs": datetime.min.replace(tzinfo=UTC)})


class Drain:
    """One drain. `seat` is its number among those that share `watch`."""

    def __init__(self, slot: Slot | None = None, watch: Watch | None = None, seat: int = 0) -> None:
        self._slot = slot or Slot()
        self._watch = watch or Watch()
        self._seat = seat
        self._told: Agenda | None = None
        self._stopping = False
        # When it ends even if calls are still under way (monotonic).
        self._until = inf
        self._pause = FIRST_PAUSE
        self._was_troubled = False
        self._weighed_at = monotonic()

    def run(self) -> None:
        """Until it is asked to stop (SIGTERM) or has grown too large."""
        self._slot.owner = owner()
        heart.show(self._slot.beat)
        exchange = calls.exchange()

        def stop(signum: int, frame: Any) -> None:
            self._stopping = exchange.closing = True
            self._until = min(self._until, monotonic() + GRACE)

        signal.signal(signal.SIGTERM, stop)
        budget.watch_main_thread()
        connection_created.connect(_made, dispatch_uid=__name__)
        connection.close()  # one that was made before is not made like this
        while not self._stopping and not self._is_large():
            self._carefully(self.step)
        self._end()

    def step(self) -> None:
        """One round over the lanes that are due; if it took nothing, one wait."""
        agenda = self._told or look()
        due = agenda.due()
        if "jobs" in due:
            self._watch.hand_over()
        taken = round_of_lanes(due)
        # Not before: what has just rung the bell would wait for it.
        rounds.upkeep_if_due(idle=not taken)
        told, self._told = self._told, None
        if not taken and told is None:
            self._told = self._wait(agenda)

    # --- Waiting ---------------------------------------------------------------------------------

    def _wait(self, agenda: Agenda) -> Agenda | None:
        """Until a row may be due or a call has ended, for a second at most; what is known to be due
        then, if anything is."""
        descriptor = bell.descriptor()
        if descriptor is None:
            outgoing().wait(min(until_due(agenda), SQLITE_LOOKS_EVERY))
            return None
        watches = self._watch.take(self._seat)
        try:
            if not self._rings(until_due(agenda) + (0 if watches else LEAD), descriptor):
                return None
            watches = watches or self._watch.take_over(self._seat)
        finally:
            self._watch.leave(self._seat)
        if watches:
            return RANG
        outgoing().wait(LEAD)
        bell.heard()  # the look that comes now answers these, too
        return None

    def _rings(self, seconds: float, descriptor: int) -> bool:
        """Whether the bell rings within so long; waits no longer when a call ends."""
        if bell.heard():
            return True
        outgoing().wait(seconds, [descriptor])
        return bell.heard()

    # --- Trouble ---------------------------------------------------------------------------------

    def _carefully(self, work: Any) -> None:
        """Do it; on an error make a new connection, wait a while and let the caller go on."""
        heart.beat()
        try:
            if self._was_troubled:
                rounds.recover()
                notices.over()
                self._was_troubled = False
            work()
            self._pause = FIRST_PAUSE
        except Exception as error:
            self._was_troubled, self._told = True, None
            # That the database is not there is said well enough by one line.
            whole = not isinstance(error, OperationalError | InterfaceError)
            logger.warning("A drain tries again in %.1f s: %s", self._pause, error, exc_info=whole)
            with suppress(Exception):
                connection.close()
            if is_installations(error):
                notices.tell(sentence(error))
            self._rest(self._pause)
            self._pause = min(self._pause * 2, LAST_PAUSE)

    def _rest(self, seconds: float) -> None:
        """Wait while calls go on, until it is asked to stop at the most."""
        until, was_stopping = monotonic() + seconds, self._stopping
        while self._stopping == was_stopping and (left := self._left(until)) > 0:
            heart.beat()
            begun = monotonic()
            outgoing().wait(min(left, PIECE))
            if monotonic() - begun < LEAD:  # an answer is there already, and waits with us
                sleep(min(left, LEAD))

    def _left(self, until: float) -> float:
        return min(until, self._until) - monotonic()

    # --- The end ---------------------------------------------------------------------------------

    def _is_large(self) -> bool:
        if monotonic() - self._weighed_at < MEMORY_LOOKS_EVERY:
            return False
        self._weighed_at = monotonic()
        return memory() > LARGE

    def _end(self) -> None:
        """Claim nothing more and wait for the calls under way; whatever is still held then is given
        back, so that others need not wait until its lease is over."""
        exchange = calls.exchange()
        exchange.closing = True
        self._slot.leaves.value = 1
        while outgoing().in_flight and self._left(inf) > 0:
            self._carefully(self._land)
        try:
            rounds.let_go()
        except Exception:
            logger.warning("A drain could not give back what it held", exc_info=True)

    def _land(self) -> None:
        outgoing().wait(min(PIECE, max(self._left(inf), 0)))
        round_of_lanes(())


def until_due(agenda: Agenda) -> float:
    """Seconds until the next row may be due, LOOKS_EVERY at the most; a while, if one is due that
    could not be taken."""
    wait = LOOKS_EVERY.total_seconds()
    if agenda.earliest is not None:
        wait = min(wait, (agenda.earliest - clock.now()).total_seconds())
    return wait if wait > 0 else BARREN_PAUSE


def memory() -> int:
    """Bytes of memory that this process holds; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _made(**kwargs: Any) -> None:
    """A new connection hears the bell. And nobody waits long for the locks of others; and who hangs
    in the middle of a turn (a stopped process, a host that sleeps or is gone) loses it, so that its
    rows are free for others and can be cancelled."""
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{HANGS_AFTER}s'")
        bell.listen()
    else:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 2000")
