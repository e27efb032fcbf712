"""One worker process that works off what is due, and says what that took. Runs inside the
installation: python -m benchmarks.speed.drainer [--plans]

prints {"seconds", "cpu"}: from its first look to the last run's end; with --plans, how PostgreSQL
does each of its statements.
"""

import json
import sys
import time

import django


def work_off() -> None:
    from apps.core.http.outgoing import outgoing
    from apps.engine.agenda import look
    from apps.engine.rounds import round_of_lanes

    while True:
        if not round_of_lanes(look().due()):
            if not outgoing().in_flight:
                break
            outgoing().wait(0.05)


def took() -> dict[str, float]:
    begun, cpu = time.monotonic(), time.process_time()
    work_off()
    return {"seconds": time.monotonic() - begun, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    django.setup()
    from benchmarks.speed import plans

    print(json.dumps(plans.of(work_off) if "--plans" in sys.argv else took()))
