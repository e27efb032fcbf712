"""The event source *CRM change*: what is changed about contacts starts the connectors that ask for
it. Event and run are written in the transaction of the change, so that neither is lost nor made
twice, however often a turn is done again. docs/crm-changes.md says what the events hold.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from apps.crm.models import Contact
from apps.crm.news import SLICE, Change, What
from apps.crm.services import living
from apps.engine import chains, sources
from apps.engine.bodies import Body
from apps.engine.context import contact_scope, readable
from apps.engine.models import CrmTrigger, Event, Run

MARKS = {
    What.TAG_ADDED: "tag",
    What.TAG_REMOVED: "tag",
    What.CATEGORY_ADDED: "category",
    What.CATEGORY_REMOVED: "category",
}

# --- who listens ----------------------------------------------------------------------------------


class _Look:
    """What was seen of the triggers; None before the first look."""

    triggers: list[CrmTrigger] | None = None


_look: ContextVar[_Look | None] = ContextVar("look", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Look only once, at the first change, who listens: for a turn, which is over in a moment."""
    token = _look.set(_Look())
    try:
        yield
    finally:
        _look.reset(token)


def _triggers() -> list[CrmTrigger]:
    """All that are in force. Remembered in a turn only: whatever changes after a trigger was saved
    must meet it."""
    look = _look.get() or _Look()
    if look.triggers is None:
        enabled = CrmTrigger.objects.filter(enabled=True, connector__enabled=True)
        published = enabled.exclude(connector__published=None)
        needed = published.select_related("connector", "attribute").only(
            "what", "tag", "category", "field", "connector__published", "attribute__key"
        )
        look.triggers = list(needed)
    return look.triggers


def wants(what: What) -> bool:
    return any(trigger.what == what for trigger in _triggers())


def meets(trigger: CrmTrigger, change: Change) -> bool:
    """Whether the change is one that the trigger asks for."""
    if trigger.what != change.what:
        return False
    if trigger.what in MARKS:
        mark = trigger.tag_id or trigger.category_id
        return mark is None or mark == change.mark_id
    if trigger.what == What.CONTACT_CHANGED and trigger.field:
        return trigger.name_in_texts in change.changed
    return True


# --- what they get --------------------------------------------------------------------------------


def hear(change: Change) -> None:
    """Start each connector that asks for this change, once for each contact."""
    met = (trigger.connector for trigger in _triggers() if meets(trigger, change))
    listening = {one.pk: one.published_id for one in met if one.published_id is not None}
    if not listening:
        return
    chain = _chain_before(change)
    for start in range(0, len(change.contact_ids), SLICE):
        openings = _openings(change, change.contact_ids[start : start + SLICE])
        for connector_id, revision_id in listening.items():
            sources.start_many(
                connector_id,
                revision_id,
                Event.Source.CRM,
                openings,
                cause=change.cause,
                cause_id=change.cause_id,
                chain=chain,
                stopped=_once_more(change, chain, connector_id),
            )


def _once_more(change: Change, chain: chains.Chain, connector_id: int) -> str:
    """Why a run must not start a connector that led to it; empty when it may. It may do so once:
    a loop in which each run made two changes would be a thousand runs after ten rotations."""
    if connector_id not in chain:
        return ""
    made = Event.objects.filter(connector=connector_id, cause="run", cause_id=change.cause_id)
    if not made.exists():
        return ""
    return f"Loop detected: run {change.cause_id} has started this connector already"


def _chain_before(change: Change) -> chains.Chain:
    if change.cause != "run" or change.cause_id is None:
        return []
    run = Run.objects.only("chain", "connector_id").filter(pk=change.cause_id).first()
    return chains.after(run) if run else []


def _openings(change: Change, contact_ids: Sequence[int]) -> list[sources.Opening]:
    contacts = living(contact_ids)
    return [
        sources.Opening(
            Body("json", json.dumps(payload(change, contacts[pk]))),
            contact_id=contacts[pk].pk,
        )
        for pk in contact_ids
        if pk in contacts
    ]


def payload(change: Change, contact: Contact) -> dict[str, Any]:
    """The event that the change makes."""
    event: dict[str, Any] = {"change": change.what.value}
    if change.what in MARKS:
        event[MARKS[change.what]] = change.mark
    event.update(change.more)
    if change.changed:
        event["changed"] = list(change.changed)
        event["before"], event["after"] = _readable(change.before), _readable(change.after)
    about = {"contact": contact_scope(contact)}
    return {**event, **about, "cause": change.cause, "cause_id": change.cause_id}


def _readable(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _readable(value) if isinstance(value, Mapping) else readable(value)
        for name, value in values.items()
    }


_EXAMPLE = {"name": "Ana Lima", "phone": "+4915112345678", "email": "ana@example.com"}


def example(trigger: CrmTrigger) -> dict[str, Any]:
    """An event as the trigger would make it, for whoever builds steps before there is one."""
    what = What(trigger.what)
    mark, changed = str(trigger.tag or trigger.category or "vip"), []
    if what == What.OWNER_CHANGED:
        changed = ["owner"]
    elif what == What.CONTACT_CHANGED:
        changed = [trigger.name_in_texts or "name"]
    more = {"note": "Called back", "author": "Ben"} if what == What.NOTE_ADDED else {}
    old, new = _nested(changed, "before"), _nested(changed, "after")
    change = Change(what, [], mark=mark, more=more, changed=changed, before=old, after=new)
    return payload(change, Contact(pk=1, **_EXAMPLE))


def _nested(names: Sequence[str], value: str) -> dict[str, Any]:
    """`value` under each of these names as texts have them."""
    own = {name: value for name in names if "." not in name}
    made = {name.partition(".")[2]: value for name in names if "." in name}
    return {**own, **({"attr": made} if made else {})}
