"""Deleting people. At once a contact is hidden and loses what identifies it, so that its number and
address are free for a new one; a long job (crm.Erasure) then removes the rest slice by slice.

Rooms above know of rows that crm does not. They register what is to be done at once, and what
erases one slice of theirs. Some transaction may write about the contact yet, having read it before
it was deleted. So the contact's row goes last, when all of those are over and what they wrote is
erased, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from apps.core import clock
from apps.core.writers import writers
from apps.crm import news
from apps.crm.models import (
    AttributeValue,
    Contact,
    ContactCategory,
    ContactTag,
    Erasure,
    Merge,
    Note,
)
from apps.crm.news import Change, What
from apps.crm.services import living

# Rows of one slice.
SLICE = 500
# What somebody has in hand is looked at again after this time.
LOOKS_AGAIN = timedelta(seconds=1)


class NotYet(Exception):
    """All rows that are left are in somebody's hands: they are erased when those have let go."""


@dataclass(frozen=True)
class Leaving:
    """Who goes: the ids of a contact and of all that were merged into it. `with_history`: what was
    said and done goes, too, not only what is known about the person."""

    ids: list[int]
    with_history: bool


_at_once: list[Callable[[Leaving], None]] = []
_erasers: list[Callable[[Leaving, int], int]] = []


def at_once(act: Callable[[Leaving], None]) -> Callable[[Leaving], None]:
    """Decorator: `act(leaving)` is part of the transaction that deletes. It writes a handful of
    rows, and may be done again."""
    _at_once.append(act)
    return act


def eraser(erase: Callable[[Leaving, int], int]) -> Callable[[Leaving, int], int]:
    """Decorator: `erase(leaving, limit)` erases about `limit` rows of its room and returns how
    many; 0 when none are left. It waits for nobody, but raises NotYet. The contact's row still
    stands then."""
    _erasers.append(erase)
    return erase


@transaction.atomic
def delete_contact(
    contact: Contact,
    with_history: bool = False,
    cause: str = "",
    cause_id: int | None = None,
) -> bool:
    """Delete the contact, and all that were merged into it; False when it was deleted already.
    Opt-outs and the blacklist stay: they are of addresses, and hold for whoever comes back."""
    there = _locked(contact)
    if there is None:
        return False
    news.tell(Change(What.CONTACT_DELETED, [there.pk], cause=cause, cause_id=cause_id))
    leaving = Leaving(there.ids, with_history)
    Contact.everyone.filter(pk__in=leaving.ids).update(
        name="",
        phone=None,
        email="",
        timezone="",
        country="",
        owner=None,
        last_interaction_at=None,
        deleted_at=clock.now(),
    )
    for act in _at_once:
        act(leaving)
    Erasure(contacts=leaving.ids, with_history=with_history, cause=cause, cause_id=cause_id).begin()
    return True


def _locked(contact: Contact) -> Contact | None:
    """Who that is by now, so that nobody is merged into it meanwhile."""
    there = living([contact.pk]).get(contact.pk)
    if there is None:
        return None
    list(Contact.everyone.select_for_update().filter(pk=there.pk).values_list("pk"))
    # Unless it was merged, or deleted, in the moment before.
    still = living([contact.pk]).get(contact.pk)
    return still if still is None or still.pk == there.pk else _locked(contact)


def erase_slice(job: Erasure) -> bool:
    """Erase the next rows; True when nothing is left of the contact."""
    leaving = Leaving(job.contacts, job.with_history)
    if job.awaits is None:
        job.awaits = writers()
    elif job.awaits:
        job.awaits = sorted({*job.awaits} & {*writers()})
    count, waits = _erase_some(leaving)
    job.done += count
    if count:
        return False
    if waits or job.awaits:
        job.rest = LOOKS_AGAIN
        return False
    job.done += _erase_contacts(leaving)
    return True


def _erase_some(leaving: Leaving) -> tuple[int, bool]:
    """How many rows were erased, of the first room that has some; and whether one has to wait."""
    waits = False
    for erase in [*_erasers, _erase_what_is_known]:
        try:
            if count := erase(leaving, SLICE):
                return count, waits
        except NotYet:
            waits = True
    return 0, waits


def _erase_what_is_known(leaving: Leaving, limit: int) -> int:
    for model in (ContactTag, ContactCategory, AttributeValue, Note):
        rows = model._default_manager.filter(contact__in=leaving.ids)
        chosen = list(rows.values_list("pk", flat=True)[:limit])
        if chosen:
            model._default_manager.filter(pk__in=chosen).delete()
            return len(chosen)
    return 0


def _erase_contacts(leaving: Leaving) -> int:
    Merge.objects.filter(survivor__in=leaving.ids).delete()
    Merge.objects.filter(loser__in=leaving.ids).delete()
    return Contact.everyone.filter(pk__in=leaving.ids).delete()[0]
