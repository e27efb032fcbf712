"""News of people: what has really changed about contacts, told to the rooms above.

The functions that change contacts tell it, inside the transaction of the change; whoever listens
writes rows and nothing else, so that news and change are kept together or not at all. Nobody is
told of what was so already. Who changes thousands in one go tells of them in slices of SLICE, or,
where that was not asked for, not at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db.models import TextChoices

SLICE = 1_000


class What(TextChoices):
    CONTACT_CREATED = "contact_created", "Contact created"
    CONTACT_CHANGED = "contact_changed", "Contact changed"
    CONTACT_DELETED = "contact_deleted", "Contact deleted"
    OWNER_CHANGED = "owner_changed", "Owner changed"
    NOTE_ADDED = "note_added", "Note added"
    TAG_ADDED = "tag_added", "Tag added"
    TAG_REMOVED = "tag_removed", "Tag removed"
    CATEGORY_ADDED = "category_added", "Category added"
    CATEGORY_REMOVED = "category_removed", "Category removed"


@dataclass(frozen=True)
class Change:
    """One change of one contact, or the same change of several.

    `mark_id` and `mark`: the tag or category. `more`: what else is to be said, such as the text of
    a note. `changed`: names as texts have them, `name` for a field of the contact, `attr.plan` for
    an attribute. `before` and `after`: the values of what changed by name, those of attributes
    under `attr`; empty for several contacts. A deletion is told while the contact is still there.
    """

    what: What
    contact_ids: Sequence[int]
    mark_id: int | None = None
    mark: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    changed: Sequence[str] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    cause: str = ""
    cause_id: int | None = None


class Listener(Protocol):
    def wants(self, what: What) -> bool:
        """Whether news of this kind would be of any use now: spares reading what was before."""

    def hear(self, change: Change) -> None:
        """React, in rows only."""


_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Tell `listener` all news from now on; for the start of a process."""
    _listeners.append(listener)


def wanted(what: What) -> bool:
    return any(listener.wants(what) for listener in _listeners)


def tell(change: Change) -> None:
    for listener in _listeners:
        listener.hear(change)


def tell_of_fields(
    what: What,
    contact_id: int,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    cause: str = "",
    cause_id: int | None = None,
) -> None:
    """Tell of fields of a contact that have other values now; of nothing when none has."""
    names = [name for name in after if after[name] != before[name]]
    if names:
        old, new = ({name: values[name] for name in names} for values in (before, after))
        tell(
            Change(
                what,
                [contact_id],
                changed=names,
                before=old,
                after=new,
                cause=cause,
                cause_id=cause_id,
            )
        )


def tell_of_marks(
    what: What,
    contact_id: int,
    marks: Iterable[Any],
    changed: set[int],
    cause: str = "",
    cause_id: int | None = None,
) -> int:
    """Tell of those of these tags or categories that are in `changed` by id; returns how many."""
    for pk, name in {mark.pk: mark.name for mark in marks if mark.pk in changed}.items():
        tell(Change(what, [contact_id], pk, name, cause=cause, cause_id=cause_id))
    return len(changed)
