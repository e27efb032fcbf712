"""Numeric, and the lengths that Text has too."""

import operator as op
from decimal import Decimal, InvalidOperation
from typing import Any

from apps.actions.conditions.operators import (
    EMPTINESS,
    Uncomparable,
    betweens,
    comparison,
    quoted,
    trimmed,
)


def read_number(value: Any) -> Decimal:
    text = trimmed(value)
    try:
        if isinstance(value, bool) or "_" in text:
            raise InvalidOperation
        number = Decimal(text)
        if not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise Uncomparable(f"{quoted(value)} is not a number") from None
    return number


def _length(value: Any) -> int:
    return len(trimmed(value))


def _read_length(value: Any) -> Decimal:
    number = read_number(value)
    if number != number.to_integral_value() or number < 0:
        raise Uncomparable(f"{quoted(value)} is not a length")
    return number


LENGTHS = {
    "min_length": comparison("minimum length", _length, op.ge, right=_read_length),
    "max_length": comparison("maximum length", _length, op.le, right=_read_length),
}
NUMERIC = {
    "equals": comparison("equals", read_number, op.eq),
    "not_equals": comparison("not equals", read_number, op.ne),
    "greater": comparison("greater than", read_number, op.gt),
    "less": comparison("less than", read_number, op.lt),
    **betweens(read_number, "numbers", "10,20"),
    **LENGTHS,
    **EMPTINESS,
}
