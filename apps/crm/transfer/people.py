"""A slice of an import: rows become people in memory, in the order of the file, and are then
written in a few statements, however many they are."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from apps.core import clock, phone, rows
from apps.core.jobs import Again
from apps.core.transfer.files import SeenKey, StoredFile
from apps.crm.known import Known, find_many
from apps.crm.models import (
    AttributeValue,
    Category,
    Contact,
    ContactCategory,
    ContactTag,
    Tag,
)
from apps.crm.services import Identity, is_known_by_email
from apps.crm.transfer import telling

CAUSE = "import"


@dataclass
class Line:
    """What a row of the file says of somebody. A value of None empties the field."""

    identity: Identity
    fields: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    # By the attribute's id: column and value.
    values: dict[int, tuple[str, Any] | None] = field(default_factory=dict)


@dataclass
class Person:
    """Somebody in a slice, and what is to be written of them."""

    contact: Contact
    is_new: bool
    changed: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    categories: set[str] = field(default_factory=set)
    values: dict[int, tuple[str, Any] | None] = field(default_factory=dict)


class People:
    """Those whom the rows of one slice may be about."""

    def __init__(self, identities: Collection[Identity], lock: bool) -> None:
        self.known: Known = find_many(identities, lock)
        self._people: dict[int, Person] = {}

    def find(self, identity: Identity, claim: bool) -> Person | None:
        """Who this is, in the database or by an earlier row of the slice. With `claim`, somebody
        known by the email address alone gains the phone number."""
        contact = self.known.find(identity)
        if contact is not None:
            return self._person(contact)
        contact = self.known.claimable(identity)
        if contact is None:
            return None
        person = self._person(contact)
        if claim:
            self.known.claim(contact, identity.phone)
            person.changed.add("phone")
        return person

    @property
    def added(self) -> list[Contact]:
        return [person.contact for person in self._people.values() if person.is_new]

    def add(self, identity: Identity) -> Person:
        contact = Contact(phone=identity.phone, email=identity.email)
        self.known.add(contact)
        return self._person(contact, is_new=True)

    def _person(self, contact: Contact, is_new: bool = False) -> Person:
        return self._people.setdefault(id(contact), Person(contact, is_new))

    @staticmethod
    def apply(person: Person, line: Line) -> None:
        """What the row says, over what was known."""
        for name, value in line.fields.items():
            if name == "email" and not person.is_new and is_known_by_email(person.contact):
                continue
            given = value if value is not None else (None if name == "owner_id" else "")
            if getattr(person.contact, name) != given:
                setattr(person.contact, name, given)
                person.changed.add(name)
        person.tags.update(line.tags)
        person.categories.update(line.categories)
        person.values.update(line.values)

    # --- writing ----------------------------------------------------------------------------------

    def write(self, cause_id: int, tells: bool) -> None:
        """Everything, inside the caller's transaction; `tells`: whoever listens to news hears of
        it. Raises Again when somebody else has just created one of them."""
        people = list(self._people.values())
        before = telling.look(people) if tells else {}
        # First what others may be creating, too: whoever waits for them holds no contact.
        tags = ids_of(Tag, {name for person in people for name in person.tags})
        categories = ids_of(Category, {name for person in people for name in person.categories})
        _insert([person.contact for person in people if person.is_new])
        _update([person for person in people if not person.is_new and person.changed])
        given = {"cause": CAUSE, "cause_id": cause_id}
        links: list[Any] = [
            ContactTag(contact_id=person.contact.pk, tag_id=tags[name], **given)
            for person in people
            for name in person.tags
        ]
        groups: list[Any] = [
            ContactCategory(contact_id=person.contact.pk, category_id=categories[name], **given)
            for person in people
            for name in person.categories
        ]
        _write_values(people, given)
        if tells:
            new = [*rows.insert_new(links), *rows.insert_new(groups)]
            telling.tell(people, before, new, **given)
        else:
            rows.insert_missing(links)
            rows.insert_missing(groups)


def _insert(contacts: list[Contact]) -> None:
    """The new ones, in an order of which two imports never wait for each other; they learn their
    ids."""
    contacts.sort(key=_key)
    stored = {_key(contact): contact.pk for contact in rows.insert_new(contacts)}
    if len(stored) < len(contacts):
        raise Again
    for contact in contacts:
        contact.pk = stored[_key(contact)]


def _key(contact: Contact) -> tuple[str, str]:
    return (contact.phone or "", "" if contact.phone else contact.email)


def _update(people: list[Person]) -> None:
    names = sorted({name for person in people for name in person.changed})
    rows.update([person.contact for person in people], names)


def _write_values(people: list[Person], given: dict[str, Any]) -> None:
    cleared: dict[int, list[int]] = {}
    kept = []
    now = clock.now()
    for person in people:
        for attribute_id, read in person.values.items():
            if read is None:
                cleared.setdefault(attribute_id, []).append(person.contact.pk)
                continue
            column, value = read
            kept.append(
                AttributeValue(
                    contact_id=person.contact.pk,
                    attribute_id=attribute_id,
                    updated_at=now,
                    **{column: value},
                    **given,
                )
            )
    rows.upsert_many(kept, ["contact_id", "attribute_id"])
    for attribute_id, contact_ids in cleared.items():
        AttributeValue.objects.filter(attribute=attribute_id, contact__in=contact_ids).delete()


def ids_of(model: type[Tag | Category], names: Collection[str]) -> dict[str, int]:
    """The tags or categories of these names, ignoring case; made where there are none."""
    found = _named(model, names)
    missing = sorted(set(names) - found.keys())
    if missing:
        rows.insert_missing([model(name=name) for name in missing])
        found = _named(model, names)
        if len(found) < len(set(names)):
            raise Again
    return found


def _named(model: type[Tag | Category], names: Collection[str]) -> dict[str, int]:
    """The database does the folding, as in its unique constraint."""
    if not names:
        return {}
    marks = ", ".join(["(%s)"] * len(names))
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH wanted(name) AS (VALUES {marks}) SELECT wanted.name, known.id FROM wanted"
            f" JOIN {model._meta.db_table} known ON LOWER(known.name) = LOWER(wanted.name)",
            list(names),
        )
        return dict(cursor.fetchall())


# --- what a dry run remembers --------------------------------------------------------------------


def remember(file: StoredFile, known: Known, identities: Collection[Identity]) -> None:
    """Let the dry run know those whom earlier slices would have created by now."""
    keys = {key for each in identities for key in (_phone(each), _only(each), _mail(each))}
    for key in file.seen.filter(key__in=keys).values_list("key", flat=True):
        how, _, what = key.partition(":")
        if how == "phone":
            known.add(Contact(phone=what))
        else:
            # Whoever has a number, too, is found under it; here it is enough that there is one.
            known.add(Contact(phone=None if how == "only" else "?", email=what))


def keep(file: StoredFile, contacts: Collection[Contact]) -> None:
    """For the slices to come: these would exist by now."""
    keys = {_phone(each) if each.phone else _only(each) for each in contacts}
    keys |= {_mail(each) for each in contacts if each.phone and each.email}
    rows.insert_missing([SeenKey(file=file, key=key) for key in sorted(keys)])


def _phone(who: Identity | Contact) -> str:
    return f"phone:{phone.canonical(who.phone or '')}"


def _only(who: Identity | Contact) -> str:
    """Known by the email address alone."""
    return f"only:{who.email}"


def _mail(who: Identity | Contact) -> str:
    return f"mail:{who.email}"
