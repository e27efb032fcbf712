"""One worker process that works off what is due, and says what that took. Runs inside the
installation: python -m benchmarks.speed.drainer

prints {"seconds", "cpu"}: from its first look to the last run's end.
"""

import json
import time

import django

if __name__ == "__main__":
    django.setup()
    from apps.engine import calls
    from apps.engine.agenda import look
    from apps.engine.drain import round_of_lanes

    begun, cpu = time.monotonic(), time.process_time()
    while True:
        if not round_of_lanes(look().due()):
            if not calls.exchange().in_flight:
                break
            calls.exchange().wait(0.05)
    print(json.dumps({"seconds": time.monotonic() - begun, "cpu": time.process_time() - cpu}))
