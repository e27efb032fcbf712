"""What can be done to people. Plain functions that write rows and nothing else, so that a turn
of the engine can repeat or roll them back. They write single columns, never a whole contact."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.db.models.functions import Lower

from apps.core import clock, phone, rows
from apps.core.due import is_postgresql
from apps.crm.models import Category, Contact, ContactCategory, ContactTag, Tag

# Fields of a contact that a mapping may fill. Phone and email also say who it is.
MAPPABLE = {
    "phone": "Mobile Number",
    "email": "Email",
    "name": "Name",
    "timezone": "Timezone",
    "country": "Country",
}

EMAIL_LENGTH = 254
NAME_LENGTH = 200


class InvalidContact(ValueError):
    """The details don't identify anybody; the message says why."""


@dataclass(frozen=True)
class Identity:
    """Who somebody is: a phone number in E.164, else an email address in lower case."""

    phone: str | None
    email: str

    @classmethod
    def read(cls, raw_phone: object, raw_email: object) -> "Identity | None":
        """What can be read of the two; None when both are blank. Raises InvalidContact when there
        is something, but neither a number nor an address."""
        typed_phone, typed_email = str(raw_phone or "").strip(), str(raw_email or "").strip()
        number = phone.normalise(typed_phone)
        email = typed_email.lower() if is_email(typed_email) else ""
        if number or email:
            return cls(number, email)
        if typed_phone:
            raise InvalidContact(
                f'"{typed_phone[:60]}" is not a valid mobile number: it needs the country code.'
            )
        if typed_email:
            raise InvalidContact(f'"{typed_email[:60]}" is not an email address.')
        return None


def is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text.lower()) <= EMAIL_LENGTH


def find(identity: Identity) -> Contact | None:
    """The contact with this phone number; without a number, the one that is known by this email
    alone, else the oldest one with this email."""
    if identity.phone:
        return next(iter(rows.select(Contact, "phone = %s", [identity.phone])), None)
    has_phone = ExpressionWrapper(Q(phone__isnull=False), output_field=BooleanField())
    return _with_email(identity.email).order_by(has_phone, "pk").first()


class Known:
    """The contacts that some identities may be, found all at once: `find` answers for each of them
    as the function of that name does."""

    def __init__(self, contacts: Iterable[Contact] = ()) -> None:
        self._by_phone: dict[str, Contact] = {}
        self._by_email: dict[str, Contact] = {}
        for contact in contacts:
            self.add(contact)

    def add(self, contact: Contact) -> None:
        """One more contact, younger than those before it."""
        if contact.phone:
            self._by_phone[contact.phone] = contact
        email = contact.email.lower()
        first = self._by_email.get(email)
        if email and (first is None or (first.phone and not contact.phone)):
            self._by_email[email] = contact

    def find(self, identity: Identity) -> Contact | None:
        if identity.phone:
            return self._by_phone.get(identity.phone)
        return self._by_email.get(identity.email)

    def claimable(self, identity: Identity) -> Contact | None:
        """Who is known by this email address alone and would gain the phone number, which nobody
        has."""
        contact = self._by_email.get(identity.email) if identity.phone and identity.email else None
        return contact if contact and not contact.phone and not self.find(identity) else None

    def claim(self, contact: Contact, phone: str | None) -> None:
        """Let the claimable contact be known by its number; whoever calls saves it."""
        contact.phone = phone
        self.add(contact)


def find_many(identities: Collection[Identity], lock: bool = False) -> Known:
    """The contacts with these phone numbers and email addresses, in three statements; with `lock`
    (inside a transaction) nobody else changes them meanwhile."""
    phones = [identity.phone for identity in identities if identity.phone]
    emails = [identity.email for identity in identities if identity.email]
    ids = [
        *_ids("phone IN ({})", phones),
        *_ids("NOT (email = '') AND LOWER(email) IN ({})", emails),
    ]
    if not ids:
        return Known()
    # In the order in which turns of the engine lock contacts, so that none waits for the other.
    locked = " FOR NO KEY UPDATE" if lock and is_postgresql() else ""
    marks = ", ".join(["%s"] * len(set(ids)))
    return Known(rows.select(Contact, f"id IN ({marks}) ORDER BY id{locked}", list(set(ids))))


def _ids(where: str, values: list[str]) -> list[int]:
    if not values:
        return []
    marks = ", ".join(["%s"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM crm_contact WHERE {where.format(marks)}", values)
        return [pk for (pk,) in cursor.fetchall()]


def is_taken(email: str, contact: Contact) -> bool:
    """Whether somebody else is known by this email address alone."""
    return _with_email(email).filter(phone__isnull=True).exclude(pk=contact.pk).exists()


def _with_email(email: str) -> QuerySet[Contact]:
    # Without the second condition no database uses the index, which leaves blank ones out.
    found = Contact.objects.alias(lower=Lower("email")).filter(lower=Lower(Value(email)))
    return found.exclude(email="")


def identify(identity: Identity, details: dict[str, Any]) -> tuple[Contact, bool]:
    """Find or create the contact and update the mapped `details` that are not blank.

    Returns (contact, created). Someone known by email alone gains the phone number, when no
    other contact has it.
    """
    contact = find(identity)
    if contact is None and identity.phone and identity.email:
        contact = _claim_by_email(identity)
    wanted = _readable(details)
    if identity.email:
        wanted["email"] = identity.email
    created = False
    if contact is None:
        contact = rows.insert_unless_taken(Contact(phone=identity.phone, **wanted))
        created = contact is not None
        # A parallel run may have created the same person: take theirs.
        contact = contact or find(identity)
        if contact is None:
            raise InvalidContact("The contact could not be saved.")
    changed = {k: v for k, v in wanted.items() if getattr(contact, k) != v}
    if changed:
        Contact.objects.filter(pk=contact.pk).update(**changed)
        for field, value in changed.items():
            setattr(contact, field, value)
    return contact, created


def _readable(details: dict[str, Any]) -> dict[str, str]:
    """The mapped details besides phone and email that can be kept; the others are left out."""
    texts = {field: " ".join(str(details.get(field) or "").split()) for field in MAPPABLE}
    readable = {"name": texts["name"][:NAME_LENGTH]}
    if texts["timezone"] and texts["timezone"] in timezones():
        readable["timezone"] = texts["timezone"]
    if is_country(texts["country"]):
        readable["country"] = texts["country"].upper()
    return {field: text for field, text in readable.items() if text}


def is_country(text: str) -> bool:
    """Two letters, as in ISO 3166."""
    return len(text) == 2 and text.isascii() and text.isalpha()


@cache
def timezones() -> set[str]:
    return available_timezones()  # reads a whole directory tree


def _claim_by_email(identity: Identity) -> Contact | None:
    contact = _with_email(identity.email).filter(phone__isnull=True).first()
    if contact is None:
        return None
    unclaimed = Contact.objects.filter(pk=contact.pk, phone__isnull=True)
    if not unclaimed.update(phone=identity.phone):
        return None  # A parallel run has just given that contact another number.
    contact.phone = identity.phone
    return contact


# --- Tags ----------------------------------------------------------------------------------------


def _tag_name(text: str) -> str:
    return " ".join(text.split())[:100]


def tag_named(name: str) -> Tag:
    """The tag of that name, ignoring case; created when there is none."""
    name = _tag_name(name)
    # The database does the folding, as in its unique constraint: SQLite folds A to Z only.
    by_name = Tag.objects.alias(lower=Lower("name")).filter(lower=Lower(Value(name)))
    tag = by_name.first()
    if tag is None:
        Tag.objects.bulk_create([Tag(name=name)], ignore_conflicts=True)
        tag = by_name.get()
    return tag


def add_tags(
    contact: Contact, tags: list[Tag], cause: str = "", cause_id: int | None = None
) -> int:
    """Put `tags` on the contact; returns how many it did not have yet."""
    return _link(ContactTag, contact, "tag_id", tags, cause, cause_id)


def tags_called(names: list[str]) -> list[Tag]:
    """The tags of these names, ignoring case; a name that is blank or no tag is passed over."""
    wanted = [Lower(Value(name)) for name in map(_tag_name, names) if name]
    if not wanted:
        return []
    return list(Tag.objects.alias(lower=Lower("name")).filter(lower__in=wanted))


def remove_tags(contact: Contact, tags: list[Tag]) -> int:
    """Take `tags` off the contact; returns how many it had. The tags themselves stay."""
    return _unlink(ContactTag, contact, "tag_id", tags)


# --- Categories ----------------------------------------------------------------------------------


def add_categories(
    contact: Contact, categories: list[Category], cause: str = "", cause_id: int | None = None
) -> int:
    """Put the contact into `categories`; returns in how many it was not yet."""
    return _link(ContactCategory, contact, "category_id", categories, cause, cause_id)


def remove_categories(contact: Contact, categories: list[Category]) -> int:
    """Take the contact out of `categories`; returns in how many it was."""
    return _unlink(ContactCategory, contact, "category_id", categories)


def _link(
    model: type[ContactTag | ContactCategory],
    contact: Contact,
    column: str,
    others: list[Any],
    cause: str,
    cause_id: int | None,
) -> int:
    """One statement that also counts, which bulk_create with ignore_conflicts can't."""
    if not others:
        return 0
    now = connection.ops.adapt_datetimefield_value(clock.now())
    marks = ", ".join(["(%s, %s, %s, %s, %s)"] * len(others))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} (contact_id, {column}, cause, cause_id,"
            f" created_at) VALUES {marks} ON CONFLICT DO NOTHING RETURNING id",
            [value for other in others for value in (contact.pk, other.pk, cause, cause_id, now)],
        )
        return len(cursor.fetchall())


def _unlink(
    model: type[ContactTag | ContactCategory], contact: Contact, column: str, others: list[Any]
) -> int:
    if not others:
        return 0
    marks = ", ".join(["%s"] * len(others))
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {model._meta.db_table} WHERE contact_id = %s AND {column} IN ({marks})",
            [contact.pk, *(other.pk for other in others)],
        )
        return cursor.rowcount
