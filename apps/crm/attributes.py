"""What contacts have besides their identity: attributes that operators made, and the contact's
own fields that may be set. A value is read by its type, or refused with a sentence."""

from collections.abc import Callable, Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import connection

from apps.core import clock, rows, typed
from apps.core.typed import quote
from apps.crm import news, services
from apps.crm.models import Attribute, AttributeValue, Contact
from apps.crm.news import Change, What

MAX_TEXT = 10_000
# Fields of a contact that may be set; the mobile number says who it is and may not.
SETTABLE = {"name": "Name", "email": "Email", "timezone": "Timezone", "country": "Country"}

_is_url = URLValidator(schemes=["http", "https"])


class BadValue(ValueError):
    """The value can't be kept; the message is a sentence that says why."""


# --- reading ------------------------------------------------------------------------------------


def read(attribute: Attribute, raw: str) -> tuple[str, Any]:
    """The column and the typed value that `raw` means for the attribute. Raises BadValue."""
    text = raw.strip()
    if not text:
        raise BadValue(
            f'The value is empty, so "{attribute}" was left as it is. Clear Attribute empties it.'
        )
    column, reader = _READERS[attribute.type]
    try:
        return column, reader(text, attribute)
    except typed.Unreadable as error:
        raise BadValue(str(error)) from None


def _text(text: str, _: Attribute) -> str:
    if len(text) > MAX_TEXT:
        raise BadValue(f"The text is longer than {MAX_TEXT:,} characters.")
    return text


def _url(text: str, _: Attribute) -> str:
    try:
        _is_url(text)
    except ValidationError:
        raise BadValue(f"{quote(text)} is not a web address: it begins with https://.") from None
    return text


def _email(text: str, _: Attribute | None = None) -> str:
    if not services.is_email(text):
        raise BadValue(f"{quote(text)} is not an email address.")
    return text.lower()


def _choice(text: str, attribute: Attribute) -> str:
    spelled = {option.casefold(): option for option in attribute.options}
    if text.casefold() not in spelled:
        options = ", ".join(attribute.options)
        raise BadValue(f'{quote(text)} is not a choice of "{attribute}": {options}.')
    return spelled[text.casefold()]


_READERS: dict[str, tuple[str, Callable[[str, Attribute], Any]]] = {
    Attribute.Type.TEXT: ("text", _text),
    Attribute.Type.NUMBER: ("number", lambda text, _: typed.decimal(text)),
    Attribute.Type.DATE: ("date", lambda text, _: typed.day(text)),
    Attribute.Type.DATETIME: ("datetime", lambda text, _: typed.moment(text)),
    Attribute.Type.WEBSITE: ("text", _url),
    Attribute.Type.EMAIL: ("text", _email),
    Attribute.Type.CHOICE: ("text", _choice),
    Attribute.Type.FILE: ("text", _url),
}

# --- attributes ---------------------------------------------------------------------------------


def set_attribute(
    contact: Contact, attribute: Attribute, raw: str, cause: str = "", cause_id: int | None = None
) -> Any:
    """Keep the value that `raw` means; returns it. Raises BadValue, the old value stays then."""
    column, value = read(attribute, raw)
    row = AttributeValue(
        contact=contact,
        attribute=attribute,
        **{column: value},
        updated_at=clock.now(),
        cause=cause,
        cause_id=cause_id,
    )
    before = _before(contact, attribute)
    rows.upsert(row, ["contact_id", "attribute_id"], {"contact_id": services.written_to()})
    _tell(contact, attribute, before, row.value, cause, cause_id)
    return value


def clear_attribute(
    contact: Contact, attribute: Attribute, cause: str = "", cause_id: int | None = None
) -> bool:
    """Forget the value; False when there was none."""
    before = _before(contact, attribute)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM crm_attributevalue WHERE contact_id = %s AND attribute_id = %s",
            [contact.pk, attribute.pk],
        )
        cleared = bool(cursor.rowcount)
    if cleared:
        _tell(contact, attribute, before, "", cause, cause_id)
    return cleared


def _before(contact: Contact, attribute: Attribute) -> Any:
    """The value that is about to change, empty without one; None when it matters to nobody."""
    if not news.wanted(What.CONTACT_CHANGED):
        return None
    row = AttributeValue.objects.filter(contact=contact, attribute=attribute).first()
    return row.value if row else ""


def _tell(
    contact: Contact,
    attribute: Attribute,
    before: Any,
    after: Any,
    cause: str,
    cause_id: int | None,
) -> None:
    if before is None or before == after:
        return
    old, new = ({"attr": {attribute.key: value}} for value in (before, after))
    name = f"attr.{attribute.key}"
    who = [contact.pk]
    news.tell(
        Change(
            What.CONTACT_CHANGED,
            who,
            changed=[name],
            before=old,
            after=new,
            cause=cause,
            cause_id=cause_id,
        )
    )


def values_of(contact_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """The values of each of these contacts by the attribute's key; one query."""
    found: dict[int, dict[str, Any]] = {pk: {} for pk in contact_ids}
    kept = AttributeValue.objects.filter(contact__in=found).select_related("attribute")
    for row in kept:
        found[row.contact_id][row.attribute.key] = row.value
    return found


# --- the contact's own fields -------------------------------------------------------------------


def read_field(field: str, raw: str) -> str:
    """What `raw` means for one of SETTABLE, when it isn't blank. Raises BadValue."""
    return _FIELD_READERS[field](" ".join(raw.split()))


def set_field(
    contact: Contact, field: str, raw: str, cause: str = "", cause_id: int | None = None
) -> str:
    """Set one of SETTABLE; returns what is kept. Raises BadValue, the old value stays then."""
    text = " ".join(raw.split())
    if not text:
        name = SETTABLE[field]
        raise BadValue(
            f'The value is empty, so "{name}" was left as it is. Clear Attribute empties it.'
        )
    value = read_field(field, text)
    if field == "email" and contact.phone is None and services.is_taken(value, contact):
        raise BadValue(f"Another contact is known by the email address {quote(value)}.")
    _write(contact, field, value, cause, cause_id)
    return value


def clear_field(contact: Contact, field: str, cause: str = "", cause_id: int | None = None) -> bool:
    """Empty one of SETTABLE; False when it was. Raises BadValue for an email address that is all
    that says who the contact is."""
    if not getattr(contact, field):
        return False
    if field == "email" and contact.phone is None:
        raise BadValue("The email address stays: nothing else says who the contact is.")
    _write(contact, field, "", cause, cause_id)
    return True


def _write(contact: Contact, field: str, value: str, cause: str, cause_id: int | None) -> None:
    before, after = {field: getattr(contact, field)}, {field: value}
    Contact.objects.filter(pk=contact.pk).update(**after)
    setattr(contact, field, value)
    news.tell_of_fields(What.CONTACT_CHANGED, contact.pk, before, after, cause, cause_id)


def _name(text: str) -> str:
    if len(text) > services.NAME_LENGTH:
        raise BadValue(f"The name is longer than {services.NAME_LENGTH} characters.")
    return text


def _timezone(text: str) -> str:
    if text not in services.timezones():
        raise BadValue(f"{quote(text)} is not a timezone: write it like Europe/Berlin.")
    return text


def _country(text: str) -> str:
    if not services.is_country(text):
        raise BadValue(f"{quote(text)} is not a country: write two letters, like DE.")
    return text.upper()


_FIELD_READERS: dict[str, Callable[[str], str]] = {
    "name": _name,
    "email": _email,
    "timezone": _timezone,
    "country": _country,
}
