"""`manage.py work` with a gateway that speaks HTTP: every message takes half a minute there.

python -m benchmarks.speed.gateway ECHO_URL
"""

import sys

import django
from django.core.management import call_command

LATE = 30

if __name__ == "__main__":
    django.setup()
    from tests.gateways import http_gateway

    # The echo answers paths that begin so after LATE seconds.
    with http_gateway(f"{sys.argv[1]}/late/{LATE}"):
        call_command("work")
