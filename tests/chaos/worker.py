"""A worker that kills itself: manage.py work, or one bare worker process, with kill -9 armed at a
named point.

    python -m tests.chaos.worker cluster|process POINT FAULTS_DIR

Every file in FAULTS_DIR is one fault, named kill-… or hang-…; whoever removes it dies or hangs
(SIGSTOP) on the spot. So a restarted worker goes on dying until the files are used up, and then
works in peace. SWITCHBOARD_TEST_HANGS: seconds without a sign of life after which a drain is taken
to hang.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command

SIGNALS = {"kill": signal.SIGKILL, "hang": signal.SIGSTOP}


def die_if_armed(faults: Path) -> None:
    for fault in faults.iterdir():
        try:
            fault.unlink()
        except FileNotFoundError:
            continue  # another worker took it
        os.kill(os.getpid(), SIGNALS[fault.name.partition("-")[0]])


def arm(point: str, faults: Path) -> None:
    """Wrap the function behind `point` so that it ends in a kill."""
    from apps.core.http import outgoing
    from apps.crm.transfer import people
    from apps.engine import claims, delays, drain, group, jobs, supervisor, turn
    from apps.messaging import delivery
    from apps.messaging.gateways import sandbox

    drain.HANGS_AFTER = 2
    supervisor.HANGS = float(os.environ.get("SWITCHBOARD_TEST_HANGS", supervisor.HANGS))

    def after(function: Callable[..., Any], every: int = 1) -> Callable[..., Any]:
        calls = 0

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            result = function(*args, **kwargs)
            calls += 1
            # Calls that did nothing (an empty claim) are no interesting place to die.
            if result != [] and result != 0 and calls % every == 0:
                die_if_armed(faults)
            return result

        return wrapped

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            die_if_armed(faults)
            return function(*args, **kwargs)

        return wrapped

    if point == "after claim":
        turn.claim_batch = after(claims.claim_batch)
        turn.claim_suspect = after(claims.claim_suspect)
    elif point == "inside a turn":
        # In the first turn, however slow the machine is: one that ran out of time before the fault
        # would have committed its runs.
        group.SECONDS = 30.0
        group.advance = after(group.advance, every=3)
    elif point == "before the commit":
        group._write = after(group._write)
    elif point == "after the commit":
        group.after_commit = before(group.after_commit)
    elif point == "after waking":
        delays.wake = after(delays.wake)
    elif point == "after sending is committed":
        delivery.mark_sending = after(delivery.mark_sending)
    elif point == "after the gateway accepted":
        outgoing._locals[sandbox.NAME] = after(sandbox.arrive)
    elif point == "inside a slice":
        people.People.write = after(people.People.write)  # type: ignore[method-assign]
    elif point == "after a slice":
        jobs._slices = after(jobs._slices)
    elif point != "nowhere":
        raise ValueError(point)


POINTS = [
    "after claim",
    "inside a turn",
    "before the commit",
    "after the commit",
    "after waking",
    "after sending is committed",
    "after the gateway accepted",
]
# Of long jobs.
SLICE_POINTS = ["inside a slice", "after a slice"]


def work_alone() -> None:
    """One drain that nobody supervises."""
    from apps.engine.drain import Drain
    from apps.engine.sweep import sweep

    sweep()
    Drain().run()


if __name__ == "__main__":
    django.setup()
    shape, point, directory = sys.argv[1:]
    arm(point, Path(directory))
    call_command("work") if shape == "cluster" else work_alone()
