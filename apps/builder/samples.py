"""The attributes that an operator can put into a text, with values from the newest event."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.core.liquid import as_text
from apps.crm import models as crm
from apps.crm.models import Contact
from apps.engine.context import contact_scope, event_scope
from apps.engine.models import Event

LIMIT = 200
_NAME = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True)
class Attribute:
    """A Liquid path and what it holds in the newest event."""

    path: str
    sample: str


def _readable(connector_id: int) -> "QuerySet[Event]":
    events = Event.objects.filter(connector=connector_id).exclude(state=Event.State.REJECTED)
    return events.order_by("-pk")


def newest_event(connector_id: int) -> Event | None:
    """The newest event or sample that could be read."""
    return _readable(connector_id).first()


def newest_events(connector_id: int) -> list[Event]:
    """Those to choose from, without their bodies."""
    return list(_readable(connector_id).defer("body")[:10])


def find_event(connector_id: int, number: str) -> Event | None:
    """The connector's event of that number; the newest one when there is none."""
    chosen = int(number) if number.isdecimal() and len(number) < 19 else 0
    found = _readable(connector_id).filter(pk=chosen).first() if chosen else None
    return found or newest_event(connector_id)


def event_attributes(event: Event | None) -> list[Attribute]:
    """Every value of the event that a path reaches, in the event's order; at most LIMIT."""
    if event is None:
        return []
    found: list[Attribute] = []
    for path, value in leaves("event", event_scope(event)["event"]):
        found.append(Attribute(path, as_text(value)[:200]))
        if len(found) == LIMIT:
            break
    return found


def contact_attributes() -> list[Attribute]:
    own = [f"contact.{name}" for name in contact_scope(Contact())]
    made = [f"attr.{key}" for key in crm.Attribute.objects.values_list("key", flat=True)]
    return [Attribute(path, "") for path in [*own, *made]]


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values inside of `value`, each with its Liquid path; the first three items of lists."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            step = f".{key}" if _NAME.fullmatch(key) else f"[{json.dumps(key)}]"
            yield from leaves(path + step, inner)
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value[:3]):
            yield from leaves(f"{path}[{place}]", inner)
    elif path != "event":
        yield path, value
