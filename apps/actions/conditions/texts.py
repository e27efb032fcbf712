"""Text, and what is text of a certain form: Email and Website. Upper and lower case are the same,
blanks around a value don't count."""

import operator as op
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email

from apps.actions.conditions.numbers import LENGTHS
from apps.actions.conditions.operators import (
    EMPTINESS,
    Operator,
    Reader,
    Uncomparable,
    comparison,
    quoted,
    trimmed,
)

_validate_website = URLValidator(schemes=["http", "https"])


def _folded(value: Any) -> str:
    return trimmed(value).casefold()


def _items(value: Any, delimiter: str) -> list[str]:
    items = value if isinstance(value, list) else trimmed(value).split(delimiter or ",")
    return [_folded(item) for item in items if _folded(item)]


def _read_email(value: Any) -> str:
    return _read_form(value, trimmed(value), validate_email, "an email address")


def _read_website(value: Any) -> str:
    """A web address, with or without http:// in front."""
    text = trimmed(value)
    whole = text if "://" in text else f"http://{text}"
    if "@" in whole.split("/")[2]:
        whole = ""  # an email address, which would pass for a host with a user in front
    return _read_form(value, whole, _validate_website, "a website")


def _read_form(value: Any, checked: str, check: Callable[[str], None], what: str) -> str:
    try:
        check(checked)
    except ValidationError:
        raise Uncomparable(f"{quoted(value)} is not {what}") from None
    return _folded(value)


def _sameness(read: Reader) -> dict[str, Operator]:
    return {"is": comparison("is", read, op.eq), "is_not": comparison("isn't", read, op.ne)}


def _parts(read: Reader) -> dict[str, Operator]:
    """Operators that look for a piece, which need not be of the form that `read` asks for."""
    return {
        "contains": comparison("contains", read, op.contains, right=_folded),
        "not_contains": comparison(
            "doesn't contains", read, lambda text, part: part not in text, right=_folded
        ),
        "starts_with": comparison("starts with", read, str.startswith, right=_folded),
        "ends_with": comparison("ends with", read, str.endswith, right=_folded),
    }


TEXT = {
    **_sameness(_folded),
    "in_list": Operator("in list", lambda text, items: text in items, _folded, _items),
    "not_in_list": Operator("not in list", lambda text, items: text not in items, _folded, _items),
    **_parts(_folded),
    **LENGTHS,
    **EMPTINESS,
}
EMAIL = {**_sameness(_read_email), **_parts(_read_email), **EMPTINESS}
WEBSITE = {**_sameness(_read_website), **_parts(_read_website), **EMPTINESS}
