"""Connectors that keep order, and the report of what their runs did, in order. Runs inside the
installation:

python -m tests.chaos.ordered seed FLOOD | report
"""

import json
import sys
from typing import Any

import django

CONTACTS, EACH = 4, 5


def seed(flood: int) -> None:
    """Publish two connectors that keep order; post `flood` events of one contact to the first, and
    EACH events of each of some contacts to the second, which has a delay of a second."""
    from apps.actions.kinds.add_tag import AddTag
    from apps.actions.kinds.delay import Delay
    from tests.factories import TagFactory, published

    second = {
        "counts_from": "custom",
        "direction": "on",
        "date": "{{ now | date: '%s' | plus: 1 }}",
        "if_past": "run",
    }
    first, again = (
        (AddTag, {"label": label, "rows": {"tags": [{"tag": TagFactory()}]}})
        for label in ("First", "Again")
    )
    options: Any = {"mapping": {"phone": "{{ event.phone }}"}, "in_order": True}
    straight = published([first, again], name="Straight", **options)
    slow = published([first, (Delay, second), again], name="Slow", **options)
    _post(straight, [0] * flood)
    _post(slow, list(range(1, CONTACTS + 1)) * EACH)


def _post(connector: Any, people: list[int]) -> None:
    from django.test import Client

    client = Client()
    for number in people:
        answer = client.post(
            f"/hooks/{connector.token}",
            data={"phone": f"+49151{number:08d}"},
            content_type="application/json",
        )
        assert answer.status_code == 202, answer.content


def report() -> dict[str, Any]:
    """The runs of each contact in the order of their actions, and how they ended."""
    from apps.engine.models import Attempt, Run

    runs = {run.pk: run for run in Run.objects.order_by("pk")}
    stories: dict[str, list[int]] = {}
    for entry in Attempt.objects.exclude(kind__in=["field_mapping", "in_order"]).order_by("pk"):
        run = runs[entry.run_id]
        stories.setdefault(f"{run.connector_id}/{run.line}", []).append(run.pk)
    return {
        "states": sorted({run.state for run in runs.values()}),
        "runs": len(runs),
        "stories": stories,
    }


if __name__ == "__main__":
    django.setup()
    command, *arguments = sys.argv[1:]
    if command == "seed":
        seed(*map(int, arguments))
    else:
        print(json.dumps(report()))
