"""What can be done to people. Plain functions that write rows and nothing else, so that a turn
of the engine can repeat or roll them back. They write single columns, never a whole contact."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar
from zoneinfo import available_timezones

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.db.models.functions import Lower

from apps.core import clock, phone, rows
from apps.core.due import is_postgresql
from apps.crm import news
from apps.crm.models import Category, Contact, ContactCategory, ContactTag, Tag
from apps.crm.news import Change, What

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
    """The contact with this phone number in any of its spellings; without a number, the one that
    is known by this email alone, else the oldest one with this email. Who was merged into another
    contact is that one."""
    found: Contact | None
    if identity.phone:
        spellings = phone.spellings(identity.phone)
        marks = ", ".join(["%s"] * len(spellings))
        found = next(iter(rows.select(Contact, f"phone IN ({marks})", spellings)), None)
    else:
        has_phone = ExpressionWrapper(Q(phone__isnull=False), output_field=BooleanField())
        found = _with_email(identity.email).order_by(has_phone, "pk").first()
    if found is None or found.merged_into_id is None:
        return found
    return living([found.pk]).get(found.pk)


def living(contact_ids: Collection[int]) -> dict[int, Contact]:
    """The contacts with these ids, by id: who was merged into another contact is that one, who is
    being erased is left out. One query, and one more for each merge that stands in a row."""
    reached: dict[int, Contact] = rows.by_key(Contact, contact_ids)
    while merged := {c.merged_into_id for c in reached.values() if c.merged_into_id}:
        survivors = rows.by_key(Contact, merged)
        reached = {
            pk: survivors[c.merged_into_id] if c.merged_into_id else c for pk, c in reached.items()
        }
    return {pk: contact for pk, contact in reached.items() if contact.deleted_at is None}


def is_taken(email: str, contact: Contact) -> bool:
    """Whether somebody else is known by this email address alone."""
    return _with_email(email).filter(phone__isnull=True).exclude(pk=contact.pk).exists()


def is_known_by_email(contact: Contact | None) -> bool:
    """Whether the email address is all that says who the contact is. It stays then, though others,
    of contacts that were merged into this one, lead here, too."""
    return contact is not None and contact.phone is None


def _with_email(email: str) -> QuerySet[Contact]:
    # Without the second condition no database uses the index, which leaves blank ones out.
    found = Contact.everyone.alias(lower=Lower("email")).filter(lower=Lower(Value(email)))
    return found.exclude(email="")


def identify(
    identity: Identity, details: dict[str, Any], cause: str = "", cause_id: int | None = None
) -> tuple[Contact, bool]:
    """Find or create the contact and update the mapped `details` that are not blank.

    Returns (contact, created). Someone known by email alone gains the phone number, when no
    other contact has it.
    """
    contact = find(identity)
    before: dict[str, Any] = {}
    if contact is None and identity.phone and identity.email:
        contact = _claim_by_email(identity)
        before = {"phone": ""} if contact else {}
    wanted = _readable(details)
    if identity.email and not is_known_by_email(contact):
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
        before |= {field: getattr(contact, field) for field in changed}
        Contact.objects.filter(pk=contact.pk).update(**changed)
        for field, value in changed.items():
            setattr(contact, field, value)
    if created:
        news.tell(Change(What.CONTACT_CREATED, [contact.pk], cause=cause, cause_id=cause_id))
    elif before:
        after = {field: getattr(contact, field) for field in before}
        news.tell_of_fields(
            What.CONTACT_CHANGED, contact.pk, before, after, cause=cause, cause_id=cause_id
        )
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
    contact = find(Identity(None, identity.email))
    if contact is None or contact.phone is not None:
        return None
    unclaimed = Contact.objects.filter(pk=contact.pk, phone__isnull=True)
    if not unclaimed.update(phone=identity.phone):
        return None  # A parallel run has just given that contact another number.
    contact.phone = identity.phone
    return contact


# What is written about somebody goes to whom the contact was merged into a moment ago: the lock
# waits for a merge that is under way, and the row is read as that left it.
_WRITTEN_TO = "SELECT COALESCE(merged_into_id, id) FROM crm_contact WHERE id = %s"


def written_to() -> str:
    """SQL for the id of the contact that a row is to belong to; the `%s` in it takes the id of the
    contact in hand."""
    return f"({_WRITTEN_TO} FOR KEY SHARE)" if is_postgresql() else f"({_WRITTEN_TO})"


# --- Tags and categories -------------------------------------------------------------------------

Mark = TypeVar("Mark", Tag, Category)


def tag_named(name: str) -> Tag:
    """The tag of that name, ignoring case; created when there is none."""
    return _named(Tag, name)


def category_named(name: str) -> Category:
    """The category of that name, ignoring case; created when there is none."""
    return _named(Category, name)


def tags_called(names: list[str]) -> list[Tag]:
    """The tags of these names, ignoring case; a name that is blank or no tag is passed over."""
    return _called(Tag, names)


def categories_called(names: list[str]) -> list[Category]:
    """The categories of these names, ignoring case; a name that is blank or no category is passed
    over."""
    return _called(Category, names)


def add_tags(
    contact: Contact, tags: list[Tag], cause: str = "", cause_id: int | None = None
) -> int:
    """Put `tags` on the contact; returns how many it did not have yet."""
    new = _link(ContactTag, contact, "tag_id", tags, cause, cause_id)
    return news.tell_of_marks(What.TAG_ADDED, contact.pk, tags, new, cause, cause_id)


def remove_tags(
    contact: Contact, tags: list[Tag], cause: str = "", cause_id: int | None = None
) -> int:
    """Take `tags` off the contact; returns how many it had. The tags themselves stay."""
    gone = _unlink(ContactTag, contact, "tag_id", tags)
    return news.tell_of_marks(What.TAG_REMOVED, contact.pk, tags, gone, cause, cause_id)


def add_categories(
    contact: Contact, categories: list[Category], cause: str = "", cause_id: int | None = None
) -> int:
    """Put the contact into `categories`; returns in how many it was not yet."""
    new = _link(ContactCategory, contact, "category_id", categories, cause, cause_id)
    return news.tell_of_marks(What.CATEGORY_ADDED, contact.pk, categories, new, cause, cause_id)


def remove_categories(
    contact: Contact, categories: list[Category], cause: str = "", cause_id: int | None = None
) -> int:
    """Take the contact out of `categories`; returns in how many it was."""
    gone = _unlink(ContactCategory, contact, "category_id", categories)
    return news.tell_of_marks(What.CATEGORY_REMOVED, contact.pk, categories, gone, cause, cause_id)


def _mark_name(text: str) -> str:
    return " ".join(text.split())[:100]


def _named(model: type[Mark], name: str) -> Mark:
    name = _mark_name(name)
    # The database does the folding, as in its unique constraint: SQLite folds A to Z only.
    table: Any = model._default_manager
    by_name = table.alias(lower=Lower("name")).filter(lower=Lower(Value(name)))
    mark: Mark | None = by_name.first()
    if mark is None:
        table.bulk_create([model(name=name)], ignore_conflicts=True)
        mark = by_name.get()
    return mark


def _called(model: type[Mark], names: list[str]) -> list[Mark]:
    wanted = [Lower(Value(name)) for name in map(_mark_name, names) if name]
    if not wanted:
        return []
    table: Any = model._default_manager
    return list(table.alias(lower=Lower("name")).filter(lower__in=wanted))


def _link(
    model: type[ContactTag | ContactCategory],
    contact: Contact,
    column: str,
    others: list[Any],
    cause: str,
    cause_id: int | None,
) -> set[int]:
    """Which of `others` are new. One statement; bulk_create with ignore_conflicts can't tell."""
    if not others:
        return set()
    now = connection.ops.adapt_datetimefield_value(clock.now())
    marks = ", ".join([f"({written_to()}, %s, %s, %s, %s)"] * len(others))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} (contact_id, {column}, cause, cause_id,"
            f" created_at) VALUES {marks} ON CONFLICT DO NOTHING RETURNING {column}",
            [value for other in others for value in (contact.pk, other.pk, cause, cause_id, now)],
        )
        return {pk for (pk,) in cursor.fetchall()}


def _unlink(
    model: type[ContactTag | ContactCategory], contact: Contact, column: str, others: list[Any]
) -> set[int]:
    """Which of `others` were there."""
    if not others:
        return set()
    marks = ", ".join(["%s"] * len(others))
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {model._meta.db_table} WHERE contact_id = %s AND {column} IN ({marks})"
            f" RETURNING {column}",
            [contact.pk, *(other.pk for other in others)],
        )
        return {pk for (pk,) in cursor.fetchall()}


# --- Notes ---------------------------------------------------------------------------------------

NOTE_LENGTH = 10_000
AUTHOR_LENGTH = 160


def add_note(
    contact: Contact,
    text: str,
    author: str,
    user: Any = None,
    cause: str = "",
    cause_id: int | None = None,
) -> None:
    """Write a note down about the contact. `author` says who did; `user` when it was one of us."""
    now = connection.ops.adapt_datetimefield_value(clock.now())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO crm_note (contact_id, text, author, author_user_id, cause, cause_id,"
            f" created_at) VALUES ({written_to()}, %s, %s, %s, %s, %s, %s)",
            [
                contact.pk,
                text,
                author[:AUTHOR_LENGTH],
                user.pk if user else None,
                cause,
                cause_id,
                now,
            ],
        )
    told = {"note": text, "author": author[:AUTHOR_LENGTH]}
    news.tell(Change(What.NOTE_ADDED, [contact.pk], more=told, cause=cause, cause_id=cause_id))


# --- Owner ---------------------------------------------------------------------------------------


def user_called(email: str) -> Any:
    """The active user with this email address, ignoring case; None when there is none, or when it
    is not clear which one."""
    users = get_user_model()._default_manager.filter(is_active=True, email__iexact=email.strip())
    found = list(users[:2]) if email.strip() else []
    return found[0] if len(found) == 1 else None


def change_owner(contact: Contact, user: Any, cause: str = "", cause_id: int | None = None) -> bool:
    """Make an active user the contact's owner; False when it was that already."""
    if contact.owner_id == user.pk:
        return False
    wanted = contact.owner_id and news.wanted(What.OWNER_CHANGED)
    before = {"owner": str(contact.owner) if wanted else ""}
    Contact.objects.filter(pk=contact.pk).update(owner=user)
    contact.owner = user
    after = {"owner": str(user)}
    news.tell_of_fields(What.OWNER_CHANGED, contact.pk, before, after, cause, cause_id)
    return True
