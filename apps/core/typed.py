"""Values of the types that operators choose for what they keep, read from text. Pure.

Each reader takes text without surrounding blanks and raises Unreadable, which says how to write it.
"""

import json
import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NoReturn

from django.utils import timezone

from apps.core.liquid import clean
from apps.core.moments import UnreadableMoment, read_moment

# As many digits as JSON numbers keep exactly, in both databases.
MAX_DIGITS, MAX_PLACES = 15, 10
DEEPEST_JSON = 40

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


class Unreadable(ValueError):
    """The text is no value of the type; the message is a sentence that says why."""


def quote(text: str) -> str:
    """A value as a sentence shows it."""
    return f'"{text[:60]}"'


def decimal(text: str) -> Decimal:
    """A plain number, as exact as it is written."""
    if not _NUMBER.fullmatch(text):
        raise Unreadable(f"{quote(text)} is not a number.")
    whole, _point, places = text.lstrip("+-").partition(".")
    whole, places = whole.lstrip("0"), places.rstrip("0")
    if len(whole) + len(places) > MAX_DIGITS or len(places) > MAX_PLACES:
        raise Unreadable(
            f"{quote(text)} has too many digits: {MAX_DIGITS} are kept, {MAX_PLACES} of them "
            "behind the point."
        )
    return Decimal(text)


def number(text: str) -> int | float:
    """Whole where it can be."""
    exact = decimal(text)
    return int(exact) if exact == exact.to_integral_value() else float(text)


def moment(text: str) -> datetime:
    """In UTC; without an offset it is local time in the account's timezone."""
    return _moment(text, "date with a time", "2026-03-31 18:00")


def day(text: str) -> date:
    """The day in the account's timezone."""
    found = _moment(text, "date", "2026-03-31")
    return found.astimezone(timezone.get_default_timezone()).date()


def _moment(text: str, kind: str, example: str) -> datetime:
    try:
        found = read_moment(text).astimezone(UTC)
        found.astimezone(timezone.get_default_timezone())
    except (UnreadableMoment, OverflowError):
        raise Unreadable(f"{quote(text)} is not a {kind}: write it like {example}.") from None
    return found


def boolean(text: str) -> bool:
    if text.casefold() not in _BOOLEANS:
        raise Unreadable(f"{quote(text)} is neither true nor false.")
    return _BOOLEANS[text.casefold()]


def any_json(text: str) -> Any:
    """Any JSON value, without characters that no database takes."""
    try:
        return _cleaned(json.loads(text, parse_constant=_refuse, parse_float=_finite), 0)
    except (ValueError, RecursionError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"{quote(text)} is not JSON.") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _cleaned(value: Any, depth: int) -> Any:
    if depth > DEEPEST_JSON:
        raise Unreadable("The JSON is nested too deeply.")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(item, depth + 1) for key, item in value.items()}
    return value
