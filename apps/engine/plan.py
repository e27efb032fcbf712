"""A revision as the engine runs it: thawed once, flat, immutable, cached."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from apps.connectors.frozen import Document, thaw_action
from apps.connectors.models import Action, Revision
from apps.connectors.registry import UnknownKind


@dataclass(frozen=True)
class Item:
    """One action with its place: `next_step` is the index of the first item after its step."""

    action: Action | None
    label: str
    kind: str
    step_name: str
    next_step: int


@dataclass(frozen=True)
class Plan:
    connector_id: int
    connector: dict[str, str]
    mapping: dict[str, str]
    in_order: bool
    items: tuple[Item, ...]
    # shared_from[i]: some item from i on writes rows that other runs write too.
    shared_from: tuple[bool, ...]

    def touches_shared(self, position: int) -> bool:
        return self.shared_from[max(position, 0)]


def compile_plan(document: Document, connector_id: int) -> Plan:
    """A plan from a frozen document. A kind that this installation lacks becomes an item without
    an action, which fails with a sentence when it is reached."""
    items: list[Item] = []
    for step in document["steps"]:
        end = len(items) + len(step["actions"])
        items += [_item(frozen, step["name"], end) for frozen in step["actions"]]
    shared = [False] * (len(items) + 1)
    for index in range(len(items) - 1, -1, -1):
        action = items[index].action
        shared[index] = shared[index + 1] or (
            action is not None and action.enabled and action.touches_shared()
        )
    return Plan(
        connector_id=connector_id,
        connector=document["connector"],
        mapping=document["mapping"],
        in_order=document.get("in_order", False),
        items=tuple(items),
        shared_from=tuple(shared),
    )


def _item(frozen: dict[str, Any], step_name: str, next_step: int) -> Item:
    try:
        action = thaw_action(frozen)
    except UnknownKind as unknown:
        return Item(None, frozen["label"] or str(unknown), str(unknown), step_name, next_step)
    return Item(action, str(action), action.slug, step_name, next_step)


def plan_of(revision_id: int) -> Plan:
    """The plan of one revision; Revision.DoesNotExist when it was never seen and is gone."""
    return _cached(revision_id)


@lru_cache(maxsize=500)
def _cached(revision_id: int) -> Plan:
    revision = Revision.objects.get(pk=revision_id)
    return compile_plan(revision.document, revision.connector_id)


def compiled(revision_ids: Iterable[int]) -> dict[int, Plan]:
    """The plans of those revisions that were seen once or are there. Revisions never change, so a
    cached plan never ages; but its connector may have been deleted since."""
    plans = {}
    for revision_id in set(revision_ids):
        with suppress(Revision.DoesNotExist):
            plans[revision_id] = _cached(revision_id)
    return plans


def plans_of(revision_ids: Iterable[int]) -> dict[int, Plan]:
    """The plans of those revisions that are still there."""
    return compiled(Revision.objects.filter(pk__in=set(revision_ids)).values_list("pk", flat=True))
