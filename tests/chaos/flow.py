"""The flow that is disturbed, and the report of what became of it. Runs inside the installation:

python -m tests.chaos.flow seed RUNS SECONDS DELAYS | cancel RUNS | report
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import django


def seed(runs: int, seconds: int, delays: int) -> None:
    """Publish the connector (with so many delays of so many seconds in a row) and post `runs`
    events to its webhook, one contact each."""
    from apps.actions.kinds.add_tag import AddTag
    from apps.actions.kinds.delay import Delay
    from apps.actions.kinds.send_message import SendMessage
    from tests.factories import ChannelFactory, TagFactory, published

    channel = ChannelFactory()
    delay = {
        "counts_from": "custom",
        "direction": "on",
        "date": f"{{{{ now | date: '%s' | plus: {seconds} }}}}",
        "if_past": "run",
        "identifier": "{{ event.number }}",
    }
    message = {"channel": channel, "recipients": [{"to": "{{ contact.phone }}"}]}
    connector = published(
        [
            (AddTag, {"rows": {"tags": [{"tag": TagFactory(name="first")}]}}),
            (SendMessage, {**message, "text": "One {{ event.number }}"}),
            *[(Delay, delay) for _ in range(delays)],
        ],
        [
            (SendMessage, {**message, "label": "Ask again", "text": "Two {{ event.number }}"}),
            (
                AddTag,
                {"label": "Tag again", "rows": {"tags": [{"tag": TagFactory(name="second")}]}},
            ),
        ],
        mapping={"phone": "{{ event.phone }}"},
    )
    post(connector, range(runs))


def post(connector: Any, numbers: Iterable[int]) -> None:
    from django.test import Client

    client = Client()
    for number in numbers:
        answer = client.post(
            f"/hooks/{connector.token}",
            data={"number": number, "phone": f"+49151{number:08d}"},
            content_type="application/json",
        )
        assert answer.status_code == 202, answer.content


def cancel(runs: int) -> int:
    """Cancel every open run as an operator would, then post `runs` more events."""
    from apps.connectors.models import Connector
    from apps.engine.cancel import cancel_runs
    from apps.engine.models import Run

    count = cancel_runs(list(Run.objects.values_list("pk", flat=True)), "Cancelled by ana")
    post(Connector.objects.get(), range(1_000, 1_000 + runs))
    return count


def report() -> dict[str, object]:
    """What there is to check, counted."""
    from apps.crm.models import Contact, ContactTag
    from apps.engine.models import Attempt, Delay, Run
    from apps.messaging.models import Message
    from apps.messaging.sandbox.models import PhoneMessage

    stories: dict[int, list[str]] = {}
    for run, label in Attempt.objects.order_by("pk").values_list("run_id", "label"):
        stories.setdefault(run, []).append(label)
    keys = list(Message.objects.values_list("key", "state", "text"))
    phone = Counter(PhoneMessage.objects.values_list("key", flat=True))
    return {
        "runs": dict(Counter(Run.objects.values_list("state", flat=True))),
        "runs_by_story": dict(Counter(" > ".join(story) for story in stories.values())),
        "contacts": Contact.objects.count(),
        "tags": dict(Counter(ContactTag.objects.values_list("tag__name", flat=True))),
        "delays": dict(Counter(Delay.objects.values_list("state", flat=True))),
        "messages": dict(Counter(state for _, state, _ in keys)),
        "texts": len({text for _, _, text in keys}),
        "on_phone_twice": [key for key, count in phone.items() if count > 1],
        "missing": sorted(key for key, _, _ in keys if key not in phone),
        "unknown": sorted(key for key, state, _ in keys if state == "unknown"),
    }


if __name__ == "__main__":
    django.setup()
    command, *arguments = sys.argv[1:]
    if command == "seed":
        seed(*map(int, arguments))
    elif command == "cancel":
        print(cancel(*map(int, arguments)))
    else:
        print(json.dumps(report()))
