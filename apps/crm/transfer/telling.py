"""News of what a slice of an import changed (crm.news), when it was asked to tell. Whoever was
changed alike is told of at once; what it was before isn't said."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from apps.crm import news
from apps.crm.models import (
    Attribute,
    AttributeValue,
    Category,
    ContactCategory,
    ContactTag,
    Tag,
)
from apps.crm.news import Change, What

if TYPE_CHECKING:
    from apps.crm.transfer.people import Person

# A value before the slice, by contact and attribute.
Before = dict[tuple[int, int], AttributeValue]


def look(people: Collection["Person"]) -> Before:
    """The values that are about to change, if anybody wants to know."""
    if not news.wanted(What.CONTACT_CHANGED):
        return {}
    found = AttributeValue.objects.filter(
        contact__in=[person.contact.pk for person in people if not person.is_new],
        attribute__in={attribute for person in people for attribute in person.values},
    )
    return {(row.contact_id, row.attribute_id): row for row in found}


def tell(
    people: Collection["Person"],
    before: Before,
    links: Iterable[ContactTag | ContactCategory],
    **cause: Any,
) -> None:
    """`links` are the tags and categories that contacts did not have yet."""
    added = [person.contact.pk for person in people if person.is_new]
    if added:
        news.tell(Change(What.CONTACT_CREATED, added, **cause))
    there = [person for person in people if not person.is_new]
    owners = [person.contact.pk for person in there if "owner_id" in person.changed]
    if owners:
        news.tell(Change(What.OWNER_CHANGED, owners, changed=["owner"], **cause))
    if news.wanted(What.CONTACT_CHANGED):
        for changed, ids in _alike(there, before).items():
            news.tell(Change(What.CONTACT_CHANGED, ids, changed=changed, **cause))
    _tell_of_links(links, cause)


def _alike(people: Collection["Person"], before: Before) -> dict[tuple[str, ...], list[int]]:
    """The contacts by the names of what changed about them."""
    keys = dict(Attribute.objects.values_list("pk", "key"))
    found: dict[tuple[str, ...], list[int]] = {}
    for person in people:
        own = person.changed - {"owner_id"}
        pk = person.contact.pk
        new = {
            f"attr.{keys[attribute]}"
            for attribute, read in person.values.items()
            if _differs(before.get((pk, attribute)), read)
        }
        if own or new:
            found.setdefault((*sorted(own), *sorted(new)), []).append(pk)
    return found


def _differs(old: AttributeValue | None, read: tuple[str, Any] | None) -> bool:
    if old is None or read is None:
        return (old is None) != (read is None)
    column, value = read
    return bool(getattr(old, column) != value)


def _tell_of_links(links: Iterable[ContactTag | ContactCategory], cause: dict[str, Any]) -> None:
    found: dict[tuple[What, int], list[int]] = {}
    for link in links:
        if isinstance(link, ContactTag):
            found.setdefault((What.TAG_ADDED, link.tag_id), []).append(link.contact_id)
        else:
            found.setdefault((What.CATEGORY_ADDED, link.category_id), []).append(link.contact_id)
    for what, model in ((What.TAG_ADDED, Tag), (What.CATEGORY_ADDED, Category)):
        ids = [pk for told, pk in found if told == what]
        if ids and news.wanted(what):
            for pk, mark in model._default_manager.in_bulk(ids).items():
                news.tell(Change(what, found[what, pk], pk, mark.name, **cause))
