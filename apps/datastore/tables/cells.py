"""One cell: reading a value by its column's type, and the forms in which it is kept, looked up,
edited and shown. Pure."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core import typed
from apps.core.liquid import as_text, clean

if TYPE_CHECKING:
    from apps.datastore.models import Column

# Characters of a value in the key column, and of what the index over all cells keeps of a value.
KEY_LENGTH, INDEXED_LENGTH = 200, 200


class Type(models.TextChoices):
    TEXT = "text", "Text"
    NUMBER = "number", "Number"
    DATE = "date", "Date"
    DATETIME = "datetime", "Date & Time"
    BOOLEAN = "boolean", "Yes or no"
    JSON = "json", "JSON"


# What a key column may be.
KEYS = (Type.TEXT, Type.NUMBER, Type.DATE, Type.DATETIME)

_READERS: dict[str, Callable[[str], Any]] = {
    Type.TEXT: str,
    Type.NUMBER: typed.number,
    Type.DATE: lambda text: typed.day(text).isoformat(),
    Type.DATETIME: lambda text: typed.moment(text).isoformat(),
    Type.BOOLEAN: typed.boolean,
    Type.JSON: typed.any_json,
}


class BadCell(ValueError):
    """A value can't be kept in its column; the message is a sentence that names the column."""

    def __init__(self, column: "Column", why: object) -> None:
        super().__init__(f"{column.name}: {why}")
        self.column, self.why = column, str(why)


def read_as(type: str, raw: str) -> Any:
    """What text means in a column of that type, as JSON keeps it: text, int or float, ISO date,
    ISO moment in UTC, bool, any JSON. None for blank text. Raises Unreadable."""
    text = clean(raw).strip()
    return _READERS[type](text) if text else None


def read(column: "Column", raw: str) -> Any:
    """As `read_as`, within the limits of a cell. Raises BadCell."""
    try:
        value = read_as(column.type, raw)
    except typed.Unreadable as error:
        raise BadCell(column, error) from None
    most = settings.MAX_CELL_BYTES
    if len(as_text(value).encode()) > most:
        raise BadCell(column, f"The value is larger than {most:,} bytes.")
    if column.is_key and len(as_text(value)) > KEY_LENGTH:
        raise BadCell(column, f"The key is longer than {KEY_LENGTH} characters.")
    return value


def canonical(value: Any) -> str:
    """What makes two values the same, as the operator *is* of a filter has it."""
    return as_text(value).strip().casefold()


def looked_up(text: str) -> str:
    """The part of a canonical form that the index over all cells keeps."""
    return text[:INDEXED_LENGTH]


def index_entry(column: "Column", value: Any) -> str | None:
    """What the index keeps of a value; None for what it leaves out: null, and JSON, whose text has
    no one order of keys."""
    return None if value is None or column.type == Type.JSON else looked_up(canonical(value))


def given(column: "Column", value: Any) -> Any:
    """A kept value as texts and filters get it: moments in the account's timezone."""
    return _local(value).isoformat() if value and column.type == Type.DATETIME else value


def spelled(column: "Column", value: Any) -> str:
    """A kept value as text that `read` reads back."""
    if column.type == Type.JSON and value is not None:
        return json.dumps(value, ensure_ascii=False)
    return as_text(given(column, value))


def shown(column: "Column", value: Any) -> str:
    """A kept value as people read it."""
    if value is None:
        return ""
    if column.type == Type.DATETIME:
        moment = _local(value)
        return moment.strftime("%Y-%m-%d %H:%M" + (":%S" if moment.second else ""))
    if column.type == Type.BOOLEAN:
        return "Yes" if value else "No"
    return spelled(column, value)


def _local(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone(timezone.get_default_timezone())
