"""How many events a connector takes in a minute: a bucket in the memory of each process, so that
no row is written for a post that is refused."""

from datetime import timedelta
from threading import Lock

from apps.core import clock

_MINUTE = 60_000_000  # whole microseconds: sums of fractions would drift
_MOST = 10_000
_lock = Lock()
# By connector: when its bucket will be full again. Each event moves that by its share of a minute.
_full_at: dict[int, int] = {}


def take(connector_id: int, per_minute: int) -> int:
    """Count one event; 0 when it may pass, else after how many seconds one will."""
    now = clock.steady() // timedelta(microseconds=1)
    share = max(1, _MINUTE // per_minute)
    with _lock:
        if len(_full_at) >= _MOST:
            _full_at.clear()
        full_at = max(_full_at.get(connector_id, 0), now)
        wait = full_at + share - now - _MINUTE
        _full_at[connector_id] = full_at if wait > 0 else full_at + share
    return -(-max(0, wait) // 1_000_000)


def forget() -> None:
    """Begin anew: every connector may take a whole minute's worth at once."""
    with _lock:
        _full_at.clear()
