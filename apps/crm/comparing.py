"""Two contacts side by side, and what one of them will be after a merge."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format

from apps.crm.contact_form import value_as_text
from apps.crm.merging import gains
from apps.crm.models import AttributeValue, Contact


@dataclass(frozen=True)
class Line:
    """What each has of one thing, and what stays; empty for nothing."""

    name: str
    loser: str
    survivor: str
    stays: str


_OWN = {
    "name": "Name",
    "phone": "Mobile number",
    "email": "Email",
    "timezone": "Timezone",
    "country": "Country",
    "owner": "Owner",
}


def compared(loser: Contact, survivor: Contact) -> list[Line]:
    """A line for each thing that one of the two has."""
    filled = gains(loser, survivor)
    lines = []
    for name, title in _OWN.items():
        mine, theirs = str(getattr(loser, name) or ""), str(getattr(survivor, name) or "")
        gained = name in filled or f"{name}_id" in filled
        lines.append(Line(title, mine, theirs, mine if gained else theirs))
    lines += [_marks("Tags", "tag_links", loser, survivor)]
    lines += [_marks("Categories", "category_links", loser, survivor)]
    lines += _attributes(loser, survivor)
    lines.append(_notes(loser, survivor))
    lines.append(Line("Created", _day(loser), _day(survivor), _day(survivor)))
    return [line for line in lines if line.loser or line.survivor]


def _marks(title: str, links: str, loser: Contact, survivor: Contact) -> Line:
    mark = links.removesuffix("_links")
    mine, theirs = (
        {str(row) for row in getattr(contact, links).select_related(mark)}
        for contact in (loser, survivor)
    )
    return Line(title, *(", ".join(sorted(names)) for names in (mine, theirs, mine | theirs)))


def _attributes(loser: Contact, survivor: Contact) -> list[Line]:
    rows = AttributeValue.objects.filter(contact__in=[loser, survivor]).select_related("attribute")
    found: dict[str, dict[Any, str]] = {}
    for row in rows.order_by("attribute__name"):
        found.setdefault(row.attribute.name, {})[row.contact_id] = value_as_text(row)
    lines = []
    for name, values in found.items():
        mine, theirs = values.get(loser.pk, ""), values.get(survivor.pk, "")
        lines.append(Line(name, mine, theirs, theirs or mine))
    return lines


def _notes(loser: Contact, survivor: Contact) -> Line:
    mine, theirs = loser.notes.count(), survivor.notes.count()
    return Line("Notes", str(mine or ""), str(theirs or ""), str(mine + theirs or ""))


def _day(contact: Contact) -> str:
    return date_format(timezone.localtime(contact.created_at), "DATE_FORMAT")
