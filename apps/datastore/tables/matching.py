"""Finding rows: the index narrows down what may match, and the tests have the last word, so that a
row matches exactly when a filter would say so."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from apps.core import rows
from apps.datastore.models import Column, Row
from apps.datastore.tables.cells import given, looked_up

SLICE = 1_000


@dataclass(frozen=True)
class Test:
    """What one column has to hold. `keys`: canonical values of which the cell has one whenever the
    test holds (none: it never holds); None when the index can't tell."""

    column: Column
    holds: Callable[[Any], bool]
    keys: frozenset[str] | None = None


@dataclass(frozen=True)
class Match:
    tests: list[Test]
    any: bool = False

    def holds(self, data: dict[str, Any]) -> bool:
        verdicts = (test.holds(value_of(test.column, data)) for test in self.tests)
        return any(verdicts) if self.any else all(verdicts)


def value_of(column: Column, data: dict[str, Any]) -> Any:
    """What a row holds in a column, as texts and filters get it."""
    return given(column, data.get(column.field))


def find_rows(table_id: int, match: Match, most: int | None = None) -> list[Row]:
    """The first `most` rows that match, or all, the oldest first. Without a test nothing
    matches."""
    found: list[Row] = []
    for row in candidates(table_id, match):
        if match.holds(row.data):
            found.append(row)
            if len(found) == most:
                break
    return found


def candidates(table_id: int, match: Match) -> Iterator[Row]:
    """All rows that may match, in slices: the index has left out others, not all that don't."""
    where, params = _narrowed(match)
    if not where:
        return
    last, size = 0, 20
    while True:
        tail = f"table_id = %s AND id > %s AND {where} ORDER BY id LIMIT {size}"
        found = rows.select(Row, tail, [table_id, last, *params])
        yield from found
        if len(found) < size:
            return
        last, size = found[-1].pk, SLICE


def _narrowed(match: Match) -> tuple[str, list[Any]]:
    """The condition that the index gives, and its parameters; empty when nothing can match."""
    parts = [_looked_up(test) for test in match.tests]
    if match.any:
        if any(part is None for part in parts):
            return "TRUE", []
        known = [part for part in parts if part]
        if not known:
            return "", []
        union = " UNION ".join(sql for sql, _ in known)
        return f"id IN ({union})", [value for _, params in known for value in params]
    if not parts or any(part == ("", []) for part in parts):
        return "", []
    known = [part for part in parts if part]
    if not known:
        return "TRUE", []
    return (
        " AND ".join(f"id IN ({sql})" for sql, _ in known),
        [value for _, params in known for value in params],
    )


def _looked_up(test: Test) -> tuple[str, list[Any]] | None:
    """The query for the rows that the index has under the keys; ("", []) when there are no keys,
    None when the index can't tell."""
    if test.keys is None:
        return None
    keys = sorted({looked_up(key) for key in test.keys})
    if not keys:
        return "", []
    sql = "SELECT row_id FROM datastore_cell WHERE column_id = %s AND value "
    if connection.vendor == "postgresql":
        return f"{sql}= ANY(%s)", [test.column.pk, keys]
    return f"{sql}IN (SELECT value FROM json_each(%s))", [test.column.pk, json.dumps(keys)]
