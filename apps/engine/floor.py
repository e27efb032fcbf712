"""What the processes of one `manage.py work` share: plain memory made before they fork. None of it
has a lock, which a killed process could hold for ever."""

from multiprocessing.sharedctypes import RawArray, RawValue
from time import monotonic
from typing import Any

OWNER_BYTES = 121


class Slot:
    """What a drain shows to its supervisor."""

    def __init__(self) -> None:
        # The last sign of life (system-wide monotonic clock); see core/heart.py.
        self.beat: Any = RawValue("d", monotonic())
        # It claims nothing more and only waits for its calls: another one may take its place.
        self.leaves: Any = RawValue("b", 0)
        self._owner: Any = RawArray("c", OWNER_BYTES)

    @property
    def owner(self) -> str:
        """Whose leases it takes; empty as long as it has taken none."""
        return str(self._owner.value.decode())

    @owner.setter
    def owner(self, name: str) -> None:
        self._owner.value = name.encode()


class Watch:
    """One waiting drain is on watch and acts at the first ring of the bell, so that a ring does
    not set all of them going. Two that sit down in the same moment may both believe it: that costs
    a look, no more."""

    FREE, HANDED_OVER = -1, -2

    def __init__(self) -> None:
        self._seat: Any = RawValue("i", self.FREE)

    def take(self, seat: int) -> bool:
        """Sit down, if nobody else does; whether `seat` is on watch now."""
        if self._seat.value < 0:
            self._seat.value = seat
        return bool(self._seat.value == seat)

    def hand_over(self) -> None:
        """Who was on watch goes to a long job: the first that hears the bell is on watch now."""
        if self._seat.value == self.FREE:
            self._seat.value = self.HANDED_OVER

    def take_over(self, seat: int) -> bool:
        """Sit down, if it was handed over."""
        return bool(self._seat.value == self.HANDED_OVER) and self.take(seat)

    def leave(self, seat: int) -> None:
        if self._seat.value == seat:
            self._seat.value = self.FREE
