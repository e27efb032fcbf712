"""What operators of every type are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.core.liquid import as_text

Reader = Callable[[Any], Any]


class Uncomparable(ValueError):
    """A value is not of the condition's type; the message says which."""


@dataclass(frozen=True)
class Operator:
    """Reads both sides, which may raise Uncomparable, and compares what was read."""

    printed: str
    holds: Callable[[Any, Any], bool]
    read_left: Reader
    # Also takes the delimiter. None: there is nothing to compare with.
    read_right: Callable[[Any, str], Any] | None


def comparison(
    printed: str, read: Reader, holds: Callable[[Any, Any], bool], right: Reader | None = None
) -> Operator:
    """An operator whose sides are read alike, unless the right one is read by `right`."""
    read_right = right or read
    return Operator(printed, holds, read, lambda value, _: read_right(value))


def trimmed(value: Any) -> str:
    return as_text(value).strip()


def quoted(value: Any) -> str:
    """A value as a warning shows it."""
    return f'"{trimmed(value)[:60]}"'


def is_empty(value: Any) -> bool:
    """Missing, null, blank, an empty list or an empty object."""
    return value in ([], {}) or not trimmed(value)


EMPTINESS = {
    "empty": Operator("is empty", lambda empty, _: empty, is_empty, None),
    "not_empty": Operator("is not empty", lambda empty, _: not empty, is_empty, None),
}


def bounds(read: Reader, sort: str, example: str) -> Reader:
    """Reads two values, from a text with a comma between them or from a list of two."""

    def read_both(value: Any) -> tuple[Any, Any]:
        both = value if isinstance(value, list) else as_text(value).split(",")
        if len(both) != 2:
            raise Uncomparable(f"between needs two {sort} with a comma, such as {example}")
        return read(both[0]), read(both[1])

    return read_both


def is_inside(value: Any, both: tuple[Any, Any]) -> bool:
    """Between the two, in either order, or one of them."""
    return bool(min(both) <= value <= max(both))


def betweens(
    read: Reader,
    sort: str,
    example: str,
    inside: Callable[[Any, tuple[Any, Any]], bool] = is_inside,
) -> dict[str, Operator]:
    """The operators *between* and *not between*."""
    both = bounds(read, sort, example)
    return {
        "between": comparison("between", read, inside, right=both),
        "not_between": comparison("not between", read, lambda v, b: not inside(v, b), right=both),
    }
