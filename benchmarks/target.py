"""make bench-target: the production shape on DATABASE_URL with the two flows of the load harness.

`/hooks/bench-f1` takes an event and does one step; `/hooks/bench-f2` filters, then makes two HTTP
calls to $ECHO_URL. Both limits are lifted, the calls are marked safe to repeat, and loopback may be
called at that one address. Nothing else is special: `manage.py up`, as in production.
"""

import os
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import django

ECHO_URL = os.environ.get("ECHO_URL", "http://127.0.0.1:9900")

F2_FIRST = (
    '{"event_id": "{{ event.event_id }}", "customer": "{{ event.order.customer.name }}", '
    '"amount": "{{ event.order.total }}", "text": "Order {{ event.order.number }} from '
    '{{ event.order.customer.name }}: {{ event.order.total }} {{ event.order.currency }}"}'
)
F2_SECOND = '{"event_id": "{{ event.event_id }}", "ref": "{{ http.first.id }}", "status": "linked"}'


def environment() -> dict[str, str]:
    """What the processes of the target run with."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SWITCHBOARD_HTTP_ALLOW": urlsplit(ECHO_URL).netloc,
        "SWITCHBOARD_HTTP_PER_MINUTE": "0",
        "SWITCHBOARD_INBOUND_PER_MINUTE": "100000000",
    }


def publish_flows() -> None:
    """Publish both flows, unless they are there."""
    from apps.actions.kinds.filter import Filter
    from apps.actions.kinds.http_api import HttpApi
    from apps.connectors.models import Connector
    from tests.factories import published

    if Connector.objects.filter(token="bench-f1").exists():
        return
    row = {"left": "event.order.total", "operator": "number:greater", "right": "50"}
    over_50 = (Filter, {"conditions": [{**row, "delimiter": "", "group": ""}]})
    published([over_50], name="F1 ingest only", token="bench-f1")

    def call(label: str, body: str) -> tuple[type, dict[str, Any]]:
        return HttpApi, {
            "label": label,
            "url": f"{ECHO_URL}/{label.lower()}",
            "body_type": "json",
            "body": body,
            "safe_to_repeat": True,
        }

    published(
        [over_50, call("First", F2_FIRST), call("Second", F2_SECOND)],
        name="F2 typical",
        token="bench-f2",
    )


if __name__ == "__main__":
    os.environ.update(environment())
    if not os.environ.get("DATABASE_URL"):
        sys.exit("Set DATABASE_URL to an empty PostgreSQL database.")
    subprocess.run([sys.executable, "manage.py", "setup"], check=True)
    django.setup()
    publish_flows()
    os.execv(sys.executable, [sys.executable, "manage.py", "up"])
