"""From the conditions of an action to the rows that it means."""

from decimal import Decimal
from typing import Any

from apps.actions.conditions import comparing, find_operator, right_error
from apps.actions.tables.fields import Matching
from apps.connectors.frozen import FrozenRow
from apps.connectors.models import Performing
from apps.core import liquid, typed
from apps.datastore.models import Column, Table
from apps.datastore.tables.cells import Type, canonical
from apps.datastore.tables.matching import Match, Term, find_ids
from apps.datastore.tables.rows import Refused

# A column of a type is looked up by the index where the operator asks for equality of that type.
_TEXT_IS = ("text:is", "text:in_list", "email:is", "website:is")
_SAME_TYPE = {
    "number:equals": Type.NUMBER,
    "date:is": Type.DATE,
    "date:on": Type.DATE,
    "datetime:is": Type.DATETIME,
}
_AS_TEXT = (Type.TEXT, Type.NUMBER, Type.DATE, Type.BOOLEAN)


class Terms:
    """The conditions of an action with their attributes filled in, not yet bound to columns."""

    def __init__(self, action: Matching, run: Performing) -> None:
        self.any = action.match == "any"
        self.terms = [_Term(row, run) for row in run.rows(action, "conditions")]  # type: ignore[arg-type]
        run.went_in("conditions", [term.seen for term in self.terms])

    def bound(self, columns: list[Column]) -> Match:
        """The match over columns as they are now. Raises Refused."""
        known = {column.pk: column for column in columns}
        return Match([term.bound(known) for term in self.terms], self.any)


class _Term:
    def __init__(self, row: FrozenRow, run: Performing) -> None:
        self.column: Column = run.ref(row, "column")
        self.operator: str = row.config["operator"]
        self.delimiter: str = row.config["delimiter"]
        right = row.config["value"]
        self.right = run.value(right) if liquid.has_attributes(right) else right
        operator = find_operator(self.operator)
        printed = operator.printed if operator else self.operator
        self.seen: dict[str, Any] = {
            "condition": f"{self.column.name} {printed}",
            "value": self.right,
        }
        if operator and (warning := right_error(operator, self.right, self.delimiter)):
            self.seen["warning"] = warning

    def bound(self, known: dict[int, Column]) -> Term:
        operator = find_operator(self.operator)
        if operator is None:
            raise Refused(f'This installation has no operator "{self.operator}".')
        column = present(self.column, known)
        verdict = comparing(operator, self.right, self.delimiter)
        keys = keys_of(column, self.operator, self.right, self.delimiter)
        return Term(column, lambda left: verdict(left).passed, keys)


def present(column: Column, known: dict[int, Column]) -> Column:
    """The column as it is now. Raises Refused."""
    if column.pk not in known:
        raise Refused(f'Column "{column}" was deleted')
    return known[column.pk]


def keys_of(column: Column, name: str, right: Any, delimiter: str = "") -> frozenset[str] | None:
    """The canonical values one of which a cell has whenever the operator holds; None when that
    can't be told. With a right value of another type no operator ever holds."""
    operator = find_operator(name)
    if operator is None or operator.read_right is None:
        return None
    if right_error(operator, right, delimiter):
        return frozenset()
    read = operator.read_right(right, delimiter)
    if name in _TEXT_IS and column.type in _AS_TEXT:
        keys = read if isinstance(read, list) else [read]
        return frozenset(keys) if all(keys) else None
    if _SAME_TYPE.get(name) != column.type:
        return None
    if isinstance(read, Decimal):
        return _number_key(read)
    return frozenset([canonical(read.isoformat())])


def _number_key(number: Decimal) -> frozenset[str]:
    """No cell holds a number of more digits than are kept."""
    plain = number.normalize()
    if abs(plain.adjusted()) > typed.MAX_DIGITS:
        return frozenset()
    try:
        return frozenset([canonical(typed.number(f"{plain:f}"))])
    except typed.Unreadable:
        return frozenset()


def ids_of(action: Matching, table: Table, match: Match) -> list[int]:
    """The rows that the action means, the oldest first."""
    return find_ids(table.pk, match, most=1 if action.which == "first" else None)


def counted(ids: list[int], done: str) -> str:
    """The note of the timeline: 2 rows updated."""
    return f"{len(ids):,} {'row' if len(ids) == 1 else 'rows'} {done}" if ids else "No row matched"


def told(ids: list[int]) -> dict[str, Any]:
    """What later actions can read of the rows."""
    return {"row_id": ids[0] if ids else None, "count": len(ids)}
