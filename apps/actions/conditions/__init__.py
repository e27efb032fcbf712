"""Filter conditions: pure functions over values (product.md, section 3).

A condition has a type, an operator of that type and two values; verdicts combine by *all* or *any*.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.actions.conditions.dates import DATE, DATE_TIME, TIME
from apps.actions.conditions.numbers import NUMERIC
from apps.actions.conditions.operators import Operator, Uncomparable
from apps.actions.conditions.texts import EMAIL, TEXT, WEBSITE

TYPES = [
    ("text", "Text"),
    ("number", "Numeric"),
    ("datetime", "Date & Time"),
    ("date", "Date"),
    ("time", "Time"),
    ("email", "Email"),
    ("website", "Website"),
]
# The names of types and operators are in frozen plans: they never change.
OPERATORS: dict[str, dict[str, Operator]] = {
    "text": TEXT,
    "number": NUMERIC,
    "datetime": DATE_TIME,
    "date": DATE,
    "time": TIME,
    "email": EMAIL,
    "website": WEBSITE,
}


@dataclass(frozen=True)
class Verdict:
    """Whether a condition holds, and a warning when a value could not be read as its type."""

    passed: bool
    warning: str = ""


def find_operator(name: str) -> Operator | None:
    """The operator that a condition names as `type:operator`."""
    sort, _, operator = name.partition(":")
    return OPERATORS.get(sort, {}).get(operator)


def comparing(operator: Operator, right: Any, delimiter: str = "") -> Callable[[Any], Verdict]:
    """`compare` for many left values: the right one is read once."""
    wrong = right_error(operator, right, delimiter)
    second = operator.read_right(right, delimiter) if operator.read_right and not wrong else None

    def verdict(left: Any) -> Verdict:
        try:
            first = operator.read_left(left)
            return Verdict(False, wrong) if wrong else Verdict(operator.holds(first, second))
        except Uncomparable as error:
            return Verdict(False, str(error))

    return verdict


def compare(operator: Operator, left: Any, right: Any, delimiter: str = "") -> Verdict:
    """Compare two values. A value that is not of the type makes any operator false, the negative
    ones too, with a warning."""
    return comparing(operator, right, delimiter)(left)


def right_error(operator: Operator, right: Any, delimiter: str = "") -> str:
    """Why nothing can ever be compared with `right`; empty when it can."""
    try:
        if operator.read_right:
            operator.read_right(right, delimiter)
    except Uncomparable as error:
        return str(error)
    return ""


def combine(match: str, verdicts: list[bool]) -> bool:
    """*all* or *any*; nothing to compare passes."""
    return not verdicts or (any(verdicts) if match == "any" else all(verdicts))
