"""What other rooms show on a contact's page: small read-only tables, each from the room that
owns the rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from apps.crm.models import Contact

ROWS = 10


@dataclass(frozen=True)
class Section:
    title: str
    columns: list[str]
    rows: list[list[Any]]
    # What is said when there are none.
    empty: str = "None yet."


Maker = Callable[[HttpRequest, Contact, int], Section | None]
_makers: list[Maker] = []


def contact_section(maker: Maker) -> Maker:
    """Decorator: show what `maker(request, contact, limit)` returns on each contact's page; None
    shows nothing, for example to those who may not see such rows."""
    _makers.append(maker)
    return maker


def sections(request: HttpRequest, contact: Contact) -> list[Section]:
    made = (maker(request, contact, ROWS) for maker in _makers)
    return [section for section in made if section is not None]
