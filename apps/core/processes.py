"""Processes that die with their parent and stop when asked."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

_PR_SET_PDEATHSIG = 1
MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


# The C library keeps a heap for each thread and what was freed for later; we are many processes
# that are large for a moment only.
FRUGAL = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}


def die_with_parent(parent: int = 0) -> None:
    """Ask the kernel to kill this process when its parent is gone, however it went (Linux); to be
    called in a process that was just forked. `parent`: the id of the parent, which may be gone
    already. (To the kernel, the thread that forked is the parent: fork from the main thread.)"""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent and os.getppid() != parent:
            os._exit(1)


def children_die_with_us() -> None:
    """Whatever this process and those below it fork from now on dies with its parent."""
    parent = 0

    def about_to_fork() -> None:
        nonlocal parent
        parent = os.getpid()

    os.register_at_fork(before=about_to_fork, after_in_child=lambda: die_with_parent(parent))


class Children:
    """A few manage.py commands run side by side: all live, or all stop."""

    # A little more than each of them takes at the most (engine/supervisor.py, config/gunicorn.py).
    STOP_SECONDS = 9.5

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopping = False
        signal.signal(signal.SIGTERM, self._asked_to_stop)
        signal.signal(signal.SIGINT, self._asked_to_stop)

    def _asked_to_stop(self, signum: int, frame: object) -> None:
        self._stopping = True

    def start(self, *arguments: str) -> None:
        # Children leave the terminal's group: Ctrl-C reaches us alone, and we stop them in order.
        self._running.append(
            subprocess.Popen(
                [sys.executable, str(MANAGE), *arguments],
                preexec_fn=partial(die_with_parent, os.getpid()),
                process_group=0,
                env={**FRUGAL, **os.environ},
            )
        )

    def wait(self) -> int:
        """Until we are asked to stop (0) or one of them ends by itself (its status)."""
        status = 0
        while not self._stopping:
            ended = [child for child in self._running if child.poll() is not None]
            if ended:
                status = ended[0].returncode or 1
                break
            self._pause()
        self.stop()
        return status

    def alive(self) -> bool:
        return not self._stopping and all(child.poll() is None for child in self._running)

    def _pause(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._running[0].wait(0.2)

    def stop(self) -> None:
        for child in self._running:
            if child.poll() is None:
                child.terminate()
        until = time.monotonic() + self.STOP_SECONDS
        for child in self._running:
            try:
                child.wait(max(0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


if __name__ == "__main__":
    children = Children()
    for name in sys.argv[1:]:
        children.start(name)
    sys.exit(children.wait())
