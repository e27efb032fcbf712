"""The places under `manage.py work` that one process after the other fills."""

import logging
import signal
from time import monotonic

from apps.engine.cluster import run_cluster
from apps.engine.drain import Drain
from apps.engine.floor import Slot, Watch
from apps.engine.sweep import bury

logger = logging.getLogger(__name__)

# What ends is started again after a pause, in seconds, which doubles from the first to the last
# as long as it does not live STEADY seconds.
FIRST_PAUSE, LAST_PAUSE, STEADY = 0.2, 5.0, 30.0
# Giving back what a dead drain held waits so many seconds for locks; the sweep would do it later.
RELEASES_WITHIN = 30


class Post:
    """A place for one process: the cluster of ordinary tasks."""

    name = "The cluster of ordinary tasks"

    def __init__(self) -> None:
        self.pid = 0
        # Its process is the last one here.
        self.is_left = False
        self._begun = 0.0
        self._not_before = 0.0
        self._pause = FIRST_PAUSE

    def wait(self) -> float:
        """Seconds until a process may be started here."""
        return max(0.0, self._not_before - monotonic())

    def begin(self) -> None:
        """Before the fork."""
        self._begun = monotonic()

    def main(self) -> int:
        """What its process does; the status that it ends with."""
        return run_cluster()

    def ended(self, how: str) -> None:
        now = monotonic()
        if now - self._begun >= STEADY:
            self._pause = FIRST_PAUSE
        logger.error("%s %s; it is started again in %.1f s", self.name, how, self._pause)
        self.pid = 0
        self._not_before = now + self._pause
        self._pause = min(self._pause * 2, LAST_PAUSE)

    def lives_since(self) -> float:
        """When it last gave a sign of life (monotonic). Django-Q watches over its own."""
        return monotonic()


class DrainPost(Post):
    def __init__(self, seat: int, watch: Watch) -> None:
        super().__init__()
        self.name = f"Drain {seat + 1}"
        self.seat = seat
        self.watch = watch
        self.slot = Slot()

    def begin(self) -> None:
        super().begin()
        self.slot = Slot()

    def main(self) -> int:
        Drain(self.slot, self.watch, self.seat).run()
        return 0

    def ended(self, how: str) -> None:
        super().ended(how)
        self.watch.leave(self.seat)

    def lives_since(self) -> float:
        return float(self.slot.beat.value)

    def give_back(self) -> int:
        """In a process of its own: what the drain held when it died is due again."""
        signal.alarm(RELEASES_WITHIN)
        bury(self.slot.owner)
        return 0
