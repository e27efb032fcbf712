"""The connectors that are measured. Runs inside the installation:

python -m benchmarks.speed.shop six|one

prints {"connector", "revision", "token"} of a newly published one.
"""

import json
import sys
from typing import Any

import django

BODY = {
    "number": 0,
    "customer": {"name": "Ana Maria Silva", "phone": "+4915100000000", "email": "ana@example.com"},
    "total": "129.90",
    "currency": "EUR",
    # What the flows of benchmarks/target.py read.
    "event_id": "e-1",
    "order": {
        "number": "SO-1",
        "total": 129.9,
        "currency": "EUR",
        "customer": {"name": "Ana Maria Silva"},
    },
    "items": [
        {"sku": "AB-1", "title": "Blue mug", "quantity": 2, "price": "14.95"},
        {"sku": "CD-2", "title": "Teapot, 1.2 l", "quantity": 1, "price": "100.00"},
    ],
}
MAPPING = {"phone": "{{ event.customer.phone }}", "name": "{{ event.customer.name }}"}


def six() -> Any:
    """Field mapping to a contact, then six actions that write in the database."""
    from apps.actions.kinds.add_tag import AddTag
    from apps.actions.kinds.clear_attribute import ClearAttribute
    from apps.actions.kinds.remove_tag import RemoveTag
    from apps.actions.kinds.set_attribute import SetAttribute
    from tests.factories import AttributeFactory, TagFactory, published

    buyer, lead = {"rows": {"tags": [{"tag": TagFactory(name="buyer")}]}}, TagFactory(name="lead")
    total, number = AttributeFactory(name="Total"), AttributeFactory(name="Number")
    return published(
        [
            (AddTag, buyer),
            (SetAttribute, {"attribute": total, "value": "{{ event.total }}"}),
            (SetAttribute, {"attribute": number, "value": "No. {{ event.number }}"}),
        ],
        [
            (AddTag, {"rows": {"tags": [{"tag": lead}]}}),
            (RemoveTag, {"rows": {"tags": [{"tag": lead}]}}),
            (ClearAttribute, {"attribute": number}),
        ],
        mapping=MAPPING,
        name="Six actions",
    )


def one() -> Any:
    """One action without a contact: how soon an event is acted on."""
    from apps.actions.kinds.stop import StopRun
    from tests.factories import published

    return published([(StopRun, {})], name="One action")


if __name__ == "__main__":
    django.setup()
    connector = {"six": six, "one": one}[sys.argv[1]]()
    print(
        json.dumps(
            {
                "connector": connector.pk,
                "revision": connector.published_id,
                "token": connector.token,
            }
        )
    )
