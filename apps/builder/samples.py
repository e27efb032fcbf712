"""The attributes that an operator can put into a text, with values from the newest event."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.connectors import registry
from apps.connectors.models import Action, Step
from apps.core import liquid
from apps.crm import models as crm
from apps.crm.models import Contact
from apps.datastore.models import Counter
from apps.engine import crm_changes
from apps.engine.context import contact_scope, event_scope
from apps.engine.models import CrmTrigger, Event

LIMIT = 200


@dataclass(frozen=True)
class Attribute:
    """A Liquid path with what it holds in the newest event, or else what it is."""

    path: str
    sample: str


def _readable(connector_id: int) -> "QuerySet[Event]":
    events = Event.objects.filter(connector=connector_id).exclude(state=Event.State.REJECTED)
    return events.order_by("-pk")


def newest_event(connector_id: int) -> Event | None:
    """The newest event or sample that could be read."""
    return _readable(connector_id).first()


def sample_event(connector_id: int) -> Event | None:
    """The newest event; before there is one, an example of what a CRM change brings, not saved."""
    newest = newest_event(connector_id)
    if newest is not None:
        return newest
    triggers = CrmTrigger.objects.filter(connector=connector_id)
    trigger = triggers.select_related("tag", "category", "attribute").first()
    return Event(body=json.dumps(crm_changes.example(trigger))) if trigger else None


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
        found.append(Attribute(path, liquid.as_text(value)[:200]))
        if len(found) == LIMIT:
            break
    return found


def contact_attributes() -> list[Attribute]:
    """The contact's own fields, and the attributes that operators made with name and type."""
    own = [Attribute(f"contact.{name}", "") for name in contact_scope(Contact())]
    made = [
        Attribute(f"attr.{one.key}", f"{one.name} ({one.get_type_display()})")
        for one in crm.Attribute.objects.all()
    ]
    return [*own, *made]


def counter_attributes() -> list[Attribute]:
    """Where counters stand, by name."""
    return [Attribute(f"counters.{one.key}", one.name) for one in Counter.objects.all()]


def earlier_values(step: Step, action: Action | None) -> list[Attribute]:
    """What the actions before `action` give, in their order; before a new one stand all actions
    of its step and of the steps before it."""
    actions = Action.objects.filter(step__connector=step.connector_id).select_related("step")
    found: list[Attribute] = []
    for row in actions.order_by("step__position", "step", "position", "pk"):
        is_later = (row.step.position, row.step_id) > (step.position, step.pk)
        if is_later or (action and row.pk == action.pk):
            break
        kind = registry.kinds().get(row.kind)
        if kind and kind.gives:
            named = f"{row.step} › {row.label or kind.title}"
            found += [Attribute(f"{kind.gives}.{row.key}.{one}", named) for one in kind.given]
    return found


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values inside of `value`, each with its Liquid path; the first three items of lists."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            step = liquid.step(key)
            if step is not None:
                yield from leaves(path + step, inner)
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value[:3]):
            yield from leaves(f"{path}[{place}]", inner)
    elif path != "event":
        yield path, value
