"""Finding many people at once, for imports."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db import connection

from apps.core import phone, rows
from apps.core.due import is_postgresql
from apps.core.jobs import Again
from apps.crm.models import Contact
from apps.crm.services import Identity


class Known:
    """The contacts that some identities may be, found all at once: `find` answers for each of them
    as the function of that name in services does. Takes all rows that they may be found by, and
    those of whom these were merged into."""

    def __init__(self, contacts: Iterable[Contact] = ()) -> None:
        self._by_phone: dict[str, Contact] = {}
        self._by_email: dict[str, Contact] = {}
        self._by_id: dict[int, Contact] = {}
        for contact in contacts:
            self._by_id[contact.pk] = contact
            self.add(contact)

    def add(self, contact: Contact) -> None:
        """One more contact, younger than those before it."""
        if contact.phone:
            self._by_phone[phone.canonical(contact.phone)] = contact
        email = contact.email.lower()
        first = self._by_email.get(email)
        if email and (first is None or (first.phone and not contact.phone)):
            self._by_email[email] = contact

    def find(self, identity: Identity) -> Contact | None:
        if identity.phone:
            return self._living(self._by_phone.get(phone.canonical(identity.phone)))
        return self._living(self._by_email.get(identity.email))

    def _living(self, contact: Contact | None) -> Contact | None:
        """Who this is by now, as `living` has it."""
        while contact and contact.merged_into_id:
            contact = self._by_id[contact.merged_into_id]
        return contact if contact and contact.deleted_at is None else None

    def claimable(self, identity: Identity) -> Contact | None:
        """Who is known by this email address alone and would gain the phone number, which nobody
        has."""
        if not identity.phone or not identity.email or self.find(identity):
            return None
        contact = self._living(self._by_email.get(identity.email))
        return contact if contact and not contact.phone else None

    def claim(self, contact: Contact, phone: str | None) -> None:
        """Let the claimable contact be known by its number; whoever calls saves it."""
        contact.phone = phone
        self.add(contact)


def find_many(identities: Collection[Identity], lock: bool = False) -> Known:
    """The contacts with these phone numbers and email addresses, in three statements, and one more
    for each merge that stands in a row; with `lock` (inside a transaction) nobody else changes them
    meanwhile. Raises Again when one of them was merged this very moment."""
    phones = [number for each in identities if each.phone for number in phone.spellings(each.phone)]
    emails = [identity.email for identity in identities if identity.email]
    leads = _leads("phone IN ({})", phones)
    leads |= _leads("NOT (email = '') AND LOWER(email) IN ({})", emails)
    while further := {into for into in leads.values() if into} - leads.keys():
        leads |= dict.fromkeys(further) | _leads("id IN ({})", list(further))
    if not leads:
        return Known()
    # In the order in which turns of the engine lock contacts, so that none waits for the other.
    locked = " FOR NO KEY UPDATE" if lock and is_postgresql() else ""
    marks = ", ".join(["%s"] * len(leads))
    found = rows.select(Contact, f"id IN ({marks}) ORDER BY id{locked}", list(leads))
    if not {c.merged_into_id for c in found if c.merged_into_id} <= {c.pk for c in found}:
        raise Again
    return Known(found)


def _leads(where: str, values: Sequence[Any]) -> dict[int, int | None]:
    """The contacts that meet this, each with whom it was merged into."""
    if not values:
        return {}
    marks = ", ".join(["%s"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, merged_into_id FROM crm_contact WHERE {where.format(marks)}", values
        )
        return dict(cursor.fetchall())
