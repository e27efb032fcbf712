"""Whether a connection that rested is still open.

libcurl looks for itself before it takes a kept connection again, but (since 8.21) not twice within
a second: in a burst it writes into connections that the server has closed. For a request that must
not be sent twice that would be an unknown outcome without need.
"""

import select

# local and remote address and port, as libcurl names them to PREREQFUNCTION
Ends = tuple[str, str, int, int]

_MOST = 2_000


class Resting:
    """The sockets of kept connections by their ends. libcurl owns and closes them; here they are
    only looked at."""

    def __init__(self) -> None:
        self._sockets: dict[Ends, int] = {}

    def keep(self, ends: Ends, descriptor: int) -> None:
        """A connection has done its work; -1 says that it is closed."""
        if len(self._sockets) >= _MOST:
            self._sockets.clear()  # who isn't known any more is not trusted, and dialled anew
        if descriptor >= 0:
            self._sockets[ends] = descriptor

    def is_open(self, ends: Ends) -> bool:
        """Whether the server has neither hung up nor begun to talk out of turn."""
        descriptor = self._sockets.pop(ends, -1)
        if descriptor < 0:
            return False
        look = select.poll()
        look.register(descriptor, select.POLLIN)
        return not look.poll(0)
