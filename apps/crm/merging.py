"""Merging two contacts of one person, and undoing it.

The loser's row stays, leads to the survivor, and keeps its number and address, by which the
survivor is found from then on. The survivor gets what it lacked: tags, categories, attribute
values, notes, and fields that it had empty. What it had itself stays. `Merge.moved` says exactly
what was given:

    {"fields": {name: [before, after]}, "identity": {"name", "phone", "email"},
     "tags": {"moved": {link id: name}, "both": [row …]}, "categories": the same,
     "values": {row id: [attribute name, updated_at]}, "notes": [id …],
     "elsewhere": {name: what a room above gave}}

`identity` is what the loser was known by. A tag that both had is taken off the loser, so that it
counts once; the `rows` put it back.
"""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils.dateparse import parse_datetime

from apps.core import clock
from apps.crm.models import AttributeValue, Contact, ContactCategory, ContactTag, Merge, Note
from apps.crm.services import is_taken

FIELDS = {"name": "name", "email": "email address", "timezone": "timezone", "country": "country"}
FIELDS["owner_id"] = "owner"
LINKS: dict[str, tuple[Any, str]] = {
    "tags": (ContactTag, "tag"),
    "categories": (ContactCategory, "category"),
}


# What rooms above keep about people: how it is given, and how it is taken back.
_elsewhere: dict[
    str, tuple[Callable[[Contact, Contact], Any], Callable[[Any, int, int], list[str]]]
] = {}
# What they lock before that.
_holds: list[Callable[[int], None]] = []


def merged_too(
    name: str,
    give: Callable[[Contact, Contact], Any],
    take_back: Callable[[Any, int, int], list[str]],
    hold: Callable[[int], None] | None = None,
) -> None:
    """Part of each merge from now on: `give(loser, survivor)` gives what the survivor lacks and
    returns as JSON what that was; `take_back(given, loser_id, survivor_id)` undoes it and returns
    a sentence for each thing that was changed since. `hold(loser_id)` comes before both contacts
    are locked, for rows that turns lock before contacts. `give` may raise Collided."""
    _elsewhere[name] = (give, take_back)
    if hold is not None:
        _holds.append(hold)


class NotMergeable(ValueError):
    """The two can't be merged, or the merge can't be undone; the message is a sentence."""


def _locked(*ids: int) -> list[Contact]:
    """The contacts with these ids, locked in the order of their ids, as turns lock them. Whoever
    is about to write something about one of them waits (services.written_to)."""
    rows = Contact.everyone.select_for_update().filter(pk__in=ids).order_by("pk")
    found = {contact.pk: contact for contact in rows}
    if len(found) < len(set(ids)):
        raise NotMergeable("One of the two contacts is gone.")
    return [found[pk] for pk in ids]


# --- merging -------------------------------------------------------------------------------------


def merge(loser_id: int, survivor_id: int, who: str) -> Merge:
    """Merge one contact into another. Raises NotMergeable, and what core.patience does again: it
    may meet turns of the engine."""
    if loser_id == survivor_id:
        raise NotMergeable("A contact can't be merged with itself.")
    with transaction.atomic():
        for hold in _holds:
            hold(loser_id)
        loser, survivor = _locked(loser_id, survivor_id)
        for contact in (loser, survivor):
            if contact.merged_into_id or contact.deleted_at:
                raise NotMergeable(f'"{contact}" was merged or deleted meanwhile.')
        moved: dict[str, Any] = {
            "identity": {name: getattr(loser, name) for name in ("name", "phone", "email")},
            "fields": _fill_in(loser, survivor),
            **{name: _give_links(name, loser, survivor) for name in LINKS},
            "values": _give_values(loser, survivor),
            "notes": _give_notes(loser, survivor),
            "elsewhere": {name: give(loser, survivor) for name, (give, _) in _elsewhere.items()},
        }
        return Merge.objects.create(survivor=survivor, loser=loser, moved=moved, who=who[:160])


def gains(loser: Contact, survivor: Contact) -> dict[str, Any]:
    """What of the survivor's own columns a merge would fill in."""
    names = [*FIELDS, *(["phone"] if survivor.phone is None else [])]
    return {
        name: getattr(loser, name)
        for name in names
        if getattr(loser, name) and not getattr(survivor, name)
    }


def _fill_in(loser: Contact, survivor: Contact) -> dict[str, Any]:
    filled = gains(loser, survivor)
    left: dict[str, Any] = {"merged_into": survivor}
    if "phone" in filled:
        # A number is one contact's; the address can only stay where it leads here alone.
        left["phone"] = None
        same = loser.email.lower() == survivor.email.lower()
        if same or is_taken(loser.email, loser):
            left["email"] = ""
    before = {name: getattr(survivor, name) for name in filled}
    lately = [c.last_interaction_at for c in (loser, survivor) if c.last_interaction_at]
    Contact.everyone.filter(pk=loser.pk).update(**left)
    Contact.everyone.filter(pk=survivor.pk).update(
        **filled, last_interaction_at=max(lately, default=None)
    )
    return {name: [before[name], value] for name, value in filled.items()}


def _give_links(name: str, loser: Contact, survivor: Contact) -> dict[str, Any]:
    model, mark = LINKS[name]
    has = set(model.objects.filter(contact=survivor).values_list(mark, flat=True))
    links = list(model.objects.filter(contact=loser).select_related(mark))
    moved = [link for link in links if getattr(link, f"{mark}_id") not in has]
    both = [link for link in links if getattr(link, f"{mark}_id") in has]
    model.objects.filter(pk__in=[link.pk for link in moved]).update(contact=survivor)
    model.objects.filter(pk__in=[link.pk for link in both]).delete()
    return {
        "moved": {str(link.pk): str(link) for link in moved},
        "both": [
            {
                "id": getattr(link, f"{mark}_id"),
                "name": str(link),
                "cause": link.cause,
                "cause_id": link.cause_id,
                "created_at": link.created_at.isoformat(),
            }
            for link in both
        ],
    }


def _give_values(loser: Contact, survivor: Contact) -> dict[str, Any]:
    has = AttributeValue.objects.filter(contact=survivor).values_list("attribute", flat=True)
    lacking = AttributeValue.objects.filter(contact=loser).exclude(attribute__in=list(has))
    moved = list(lacking.select_related("attribute"))
    AttributeValue.objects.filter(pk__in=[row.pk for row in moved]).update(contact=survivor)
    return {str(row.pk): [row.attribute.name, row.updated_at.isoformat()] for row in moved}


def _give_notes(loser: Contact, survivor: Contact) -> list[int]:
    moved = list(Note.objects.filter(contact=loser).values_list("pk", flat=True))
    Note.objects.filter(pk__in=moved).update(contact=survivor)
    return moved


# --- undoing -------------------------------------------------------------------------------------


def undo(merge_id: int, who: str) -> list[str]:
    """Make two contacts of them again: each has what it had, but for what was changed since, which
    stays with the survivor. Returns a sentence for each such thing. Raises NotMergeable."""
    with transaction.atomic():
        merged = Merge.objects.select_for_update().get(pk=merge_id)
        loser, survivor = _locked(merged.loser_id, merged.survivor_id)
        _check(merged, loser, survivor)
        changed = _take_fields_back(merged, loser, survivor)
        for name in LINKS:
            changed += _take_links_back(name, merged)
        changed += _take_values_back(merged)
        notes = Note.objects.filter(pk__in=merged.moved["notes"], contact=survivor)
        notes.update(contact=loser)
        for name, given in merged.moved.get("elsewhere", {}).items():
            changed += _elsewhere[name][1](given, loser.pk, survivor.pk)
        merged.undone_at, merged.undone_by = clock.now(), who[:160]
        merged.save(update_fields=["undone_at", "undone_by"])
    return changed


def _check(merged: Merge, loser: Contact, survivor: Contact) -> None:
    if merged.undone_at or loser.merged_into_id != survivor.pk:
        raise NotMergeable("This merge was undone already.")
    if survivor.deleted_at:
        raise NotMergeable("The contact was deleted, so the merge can't be undone.")
    if survivor.merged_into_id:
        into = Contact.everyone.get(pk=survivor.merged_into_id)
        raise NotMergeable(f'"{survivor}" was merged into "{into}" since: undo that merge first.')
    given = merged.moved["fields"].get("phone")
    if given is None:
        return
    if survivor.phone != given[1]:
        raise NotMergeable(
            f"The number {given[1]} came with the merge and was changed since, so the merge can't "
            "be undone."
        )
    if not survivor.email or is_taken(survivor.email, survivor):
        raise NotMergeable(
            f'Without the number {given[1]} nothing would say who "{survivor}" is. Give it an '
            "email address that no other contact has, then undo the merge."
        )


def _take_fields_back(merged: Merge, loser: Contact, survivor: Contact) -> list[str]:
    back, changed = {}, []
    for name, (before, after) in merged.moved["fields"].items():
        if getattr(survivor, name) == after:
            back[name] = before
        else:
            changed.append(f"The {FIELDS[name]} was changed since and stays as it is.")
    identity = dict(merged.moved["identity"])
    if not identity["phone"] and identity["email"] and is_taken(identity["email"], loser):
        raise NotMergeable(
            f"Another contact is known by {identity['email']} by now, so the merge can't be undone."
        )
    Contact.everyone.filter(pk=survivor.pk).update(**back)
    Contact.everyone.filter(pk=loser.pk).update(**identity, merged_into=None)
    return changed


def _take_links_back(name: str, merged: Merge) -> list[str]:
    model, mark = LINKS[name]
    moved: dict[str, str] = merged.moved[name]["moved"]
    links = model.objects.filter(pk__in=map(int, moved), contact=merged.survivor_id)
    still = {str(pk) for pk in links.values_list("pk", flat=True)}
    links.update(contact=merged.loser_id)
    both = merged.moved[name]["both"]
    marks = model._meta.get_field(mark).related_model._default_manager
    exist = set(marks.filter(pk__in=[row["id"] for row in both]).values_list("pk", flat=True))
    model.objects.bulk_create(
        model(
            contact_id=merged.loser_id,
            cause=row["cause"],
            cause_id=row["cause_id"],
            created_at=parse_datetime(row["created_at"]),
            **{f"{mark}_id": row["id"]},
        )
        for row in both
        if row["id"] in exist
    )
    lost = [text for pk, text in moved.items() if pk not in still]
    lost += [row["name"] for row in both if row["id"] not in exist]
    return [f'The {mark} "{text}" was taken off since and stays so.' for text in lost]


def _take_values_back(merged: Merge) -> list[str]:
    moved: dict[str, list[str]] = merged.moved["values"]
    rows = AttributeValue.objects.filter(pk__in=map(int, moved), contact=merged.survivor_id)
    updated = {str(pk): at.isoformat() for pk, at in rows.values_list("pk", "updated_at")}
    same = [pk for pk, (_, at) in moved.items() if updated.get(pk) == at]
    AttributeValue.objects.filter(pk__in=map(int, same)).update(contact=merged.loser_id)
    changed = [name for pk, (name, _) in moved.items() if pk not in same]
    return [f'The attribute "{name}" was changed since and stays as it is.' for name in changed]
