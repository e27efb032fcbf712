"""Connectors that write about the same few people, and the report of what became of it. Runs
inside the installation:

python -m tests.chaos.people seed EVENTS | report
"""

import json
import sys
from typing import Any

import django

PEOPLE, ATTRIBUTES = 5, 4


def seed(events: int) -> None:
    """Post events of a few people under both spellings of their numbers: each makes a tag, writes
    an attribute and a note."""
    from apps.actions.kinds.add_note import AddNote
    from apps.actions.kinds.add_tag import AddTag
    from apps.actions.kinds.set_attribute import SetAttribute
    from tests.factories import AttributeFactory, published

    for number in range(ATTRIBUTES):
        attribute = AttributeFactory(key=f"a{number}")
        steps: list[Any] = [
            (AddTag, {"new_tags": "Tag {{ event.number }}, everybody"}),
            (SetAttribute, {"attribute": attribute, "value": "{{ event.number }}"}),
            (AddNote, {"text": "Note {{ event.number }}"}),
        ]
        mapping = {"phone": "{{ event.phone }}"}
        made = published(steps, name=f"People {number}", mapping=mapping)
        _post(made, range(number, events, ATTRIBUTES))


def _post(connector: Any, numbers: range) -> None:
    from django.test import Client

    client = Client()
    for number in numbers:
        person, spelling = number % PEOPLE, number // PEOPLE % 2
        phone = f"+5511{'9' if spelling else ''}8765432{person}"
        answer = client.post(
            f"/hooks/{connector.token}",
            data={"phone": phone, "number": number},
            content_type="application/json",
        )
        assert answer.status_code == 202, answer.content


def report() -> dict[str, Any]:
    from apps.crm.models import AttributeValue, Contact, ContactTag, Note
    from apps.engine.models import Run

    return {
        "states": sorted(set(Run.objects.values_list("state", flat=True))),
        "contacts": Contact.everyone.count(),
        "tags": sorted(ContactTag.objects.values_list("tag__name", flat=True)),
        "values": AttributeValue.objects.count(),
        "notes": sorted(Note.objects.values_list("text", flat=True)),
    }


if __name__ == "__main__":
    django.setup()
    command, *arguments = sys.argv[1:]
    if command == "seed":
        seed(*map(int, arguments))
    else:
        print(json.dumps(report()))
