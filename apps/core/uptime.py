"""A clock for durations: nobody can set it, and it goes on while the process, or the whole machine,
sleeps."""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime() -> float:
    """Seconds since the machine started."""
    return time.clock_gettime(_CLOCK)
