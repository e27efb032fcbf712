"""The columns of a table of contacts: what a cell means on the way in, how a value is written on
the way out. A cell that can't be read raises ValueError with a sentence."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from import_export.fields import Field
from import_export.resources import Resource
from import_export.widgets import Widget

from apps.core import phone
from apps.crm import attributes
from apps.crm.models import Attribute, Contact

ATTRIBUTE = "attr."
MOST_NAMES, NAME_LENGTH = 20, 100
# What other programs call these columns, besides our own names for them.
ALSO_CALLED = {
    "phone": "phone, phone number, mobile, mobile phone, cell, cell phone, telephone, tel, "
    "whatsapp, whatsapp number, number, contact number, msisdn, handy, telefon",
    "email": "mail, email address, mail address",
    "name": "full name, contact name, customer, customer name, display name",
    "timezone": "tz",
    "country": "country code, land",
    "owner": "agent, assigned to, contact owner, owner email",
    "tags": "tag, labels, label",
    "categories": "category, group, groups, lists",
}


class PhoneWidget(Widget):  # type: ignore[misc]
    def clean(self, value: str, row: Any = None, **kwargs: Any) -> str:
        number = phone.normalise(value)
        if number is None:
            raise ValueError(
                f'"{value[:60]}" is not a valid mobile number: it needs the country code.'
            )
        return number


class FieldWidget(Widget):  # type: ignore[misc]
    """One of the contact's own fields."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def clean(self, value: str, row: Any = None, **kwargs: Any) -> str:
        return attributes.read_field(self.name, value)


class OwnerWidget(Widget):  # type: ignore[misc]
    """A user, named by the email address."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: dict[str, list[int]] | None = None

    def clean(self, value: str, row: Any = None, **kwargs: Any) -> int:
        found = self._users().get(value.strip().lower(), [])
        if len(found) != 1:
            whom = "No user has" if not found else "Several users have"
            raise ValueError(f'{whom} the email address "{value.strip()[:60]}".')
        return found[0]

    def _users(self) -> dict[str, list[int]]:
        if self._ids is None:
            self._ids = {}
            users = get_user_model().objects.filter(is_active=True).exclude(email="")
            for pk, email in users.values_list("pk", "email"):
                self._ids.setdefault(email.lower(), []).append(pk)
        return self._ids


class NamesWidget(Widget):  # type: ignore[misc]
    """Names of tags or categories, separated by commas, semicolons or bars."""

    def clean(self, value: str, row: Any = None, **kwargs: Any) -> list[str]:
        names = [
            " ".join(name.split()) for name in value.replace(";", ",").replace("|", ",").split(",")
        ]
        names = [name for name in names if name]
        long = next((name for name in names if len(name) > NAME_LENGTH), None)
        if long:
            raise ValueError(f'The name "{long[:60]}…" is longer than {NAME_LENGTH} characters.')
        if len(names) > MOST_NAMES:
            raise ValueError(f"There are more than {MOST_NAMES} names in one cell.")
        return names

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> str:
        return ", ".join(sorted(value))


class AttributeWidget(Widget):  # type: ignore[misc]
    def __init__(self, attribute: Attribute) -> None:
        super().__init__()
        self.attribute = attribute

    def clean(self, value: str, row: Any = None, **kwargs: Any) -> tuple[str, Any]:
        """The column of AttributeValue, and what it holds."""
        return attributes.read(self.attribute, value)

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> str:
        """As `clean` reads it again, to the same value."""
        if isinstance(value, float):
            return format(Decimal(str(value)), "f")
        return value.isoformat() if isinstance(value, date) else "" if value is None else str(value)


class ContactColumns(Resource):  # type: ignore[misc]
    """All columns that there are, by name: the contact's own, and `attr.<key>` for attributes."""

    phone = Field("phone", "Mobile number", PhoneWidget())
    email = Field("email", "Email", FieldWidget("email"))
    name = Field("name", "Name", FieldWidget("name"))
    timezone = Field("timezone", "Timezone", FieldWidget("timezone"))
    country = Field("country", "Country", FieldWidget("country"))
    owner = Field("owner__email", "Owner", OwnerWidget())
    tags = Field("tag_names", "Tags", NamesWidget())
    categories = Field("category_names", "Categories", NamesWidget())

    def __init__(self) -> None:
        super().__init__()
        self.fields["owner"].widget = OwnerWidget()  # the users of today
        taken = {field.column_name.casefold() for field in self.fields.values()}
        for attribute in Attribute.objects.order_by("name"):
            name = ATTRIBUTE + attribute.key
            called = name if attribute.name.casefold() in taken else attribute.name
            self.fields[name] = Field(
                f"values__{attribute.key}", called, AttributeWidget(attribute)
            )

    def get_export_order(self) -> list[str]:
        return list(self.fields)

    def get_user_visible_fields(self) -> Any:
        return self.get_fields()

    def choices(self) -> list[tuple[str, str]]:
        """The name of each column, and what people call it."""
        return [(name, field.column_name) for name, field in self.fields.items()]

    def guess(self, headers: Iterable[str]) -> list[str]:
        """What each column of a file seems to be, by its header; empty where that is unclear.
        Nothing is guessed twice."""
        known = dict(self._names())
        found: list[str] = []
        for header in headers:
            name = known.get(_plain(header), "")
            found.append("" if name in found else name)
        return found

    def _names(self) -> Iterable[tuple[str, str]]:
        """What a header may be, beginning with what counts least."""
        for name, also in ALSO_CALLED.items():
            yield from ((_plain(words), name) for words in also.split(", "))
        for name, field in reversed(self.fields.items()):
            yield _plain(name.removeprefix(ATTRIBUTE)), name
            yield _plain(name), name
            yield _plain(field.column_name), name

    def lines(self, contacts: QuerySet[Contact]) -> list[tuple[int, list[str]]]:
        """The id and the cells of each contact, in a constant number of queries."""
        contacts = contacts.select_related("owner").prefetch_related(
            "tag_links__tag", "category_links__category"
        )
        found: list[Any] = list(contacts)
        values = attributes.values_of([contact.pk for contact in found])
        for contact in found:
            contact.tag_names = [link.tag.name for link in contact.tag_links.all()]
            contact.category_names = [link.category.name for link in contact.category_links.all()]
            contact.values = values[contact.pk]
        return [(contact.pk, self.export_resource(contact)) for contact in found]


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
