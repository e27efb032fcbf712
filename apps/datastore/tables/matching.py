"""Finding rows: the index narrows down what may match, and the terms have the last word, so that a
row matches exactly when a filter would say so."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from apps.core.due import is_postgresql
from apps.datastore.models import Column
from apps.datastore.tables.cells import given, looked_up

# Rows that are looked at together; the first ones often suffice.
FIRST_SLICE, SLICE = 20, 2_000


@dataclass(frozen=True)
class Term:
    """What one column has to hold. `keys`: canonical values of which the cell has one whenever the
    term holds (none: it never holds); None when the index can't tell."""

    column: Column
    holds: Callable[[Any], bool]
    keys: frozenset[str] | None = None


@dataclass(frozen=True)
class Match:
    terms: list[Term]
    any: bool = False

    def holds(self, kept: Sequence[Any]) -> bool:
        """The verdict over what a row keeps in the columns of the terms."""
        verdicts = (
            term.holds(given(term.column, value))
            for term, value in zip(self.terms, kept, strict=True)
        )
        return any(verdicts) if self.any else all(verdicts)


def find_ids(table_id: int, match: Match, most: int | None = None) -> list[int]:
    """The first `most` rows that match, or all, the oldest first. Without a term nothing
    matches."""
    found: list[int] = []
    for row_id, kept in _candidates(table_id, match):
        if match.holds(kept):
            found.append(row_id)
            if len(found) == most:
                break
    return found


def _candidates(table_id: int, match: Match) -> Iterator[tuple[int, list[Any]]]:
    """The rows that may match with what they keep in the columns of the terms, read in slices: the
    index has left out others, not all that don't."""
    where, params = _narrowed(match)
    if not where:
        return
    cells = "".join(", data -> %s" for _ in match.terms)
    paths = [_path(term.column) for term in match.terms]
    last, size = 0, FIRST_SLICE
    while True:
        sql = f"SELECT id{cells} FROM datastore_row WHERE table_id = %s AND id > %s AND {where}"
        with connection.cursor() as cursor:
            cursor.execute(f"{sql} ORDER BY id LIMIT {size}", [*paths, table_id, last, *params])
            found = cursor.fetchall()
        for row_id, *kept in found:
            yield row_id, [None if value is None else json.loads(value) for value in kept]
        if len(found) < size:
            return
        last, size = found[-1][0], SLICE


def _path(column: Column) -> str:
    """Where in a row's data the value of the column is."""
    return column.field if is_postgresql() else f'$."{column.field}"'


def _narrowed(match: Match) -> tuple[str, list[Any]]:
    """The condition that the index gives, and its parameters; empty when nothing can match."""
    parts = [_looked_up(term) for term in match.terms]
    if match.any:
        if any(part is None for part in parts):
            return "TRUE", []
        known = [part for part in parts if part and part[0]]
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


def _looked_up(term: Term) -> tuple[str, list[Any]] | None:
    """The query for the rows that the index has under the keys; ("", []) when there are no keys,
    None when the index can't tell."""
    if term.keys is None:
        return None
    keys = sorted({looked_up(key) for key in term.keys})
    if not keys:
        return "", []
    sql = "SELECT row_id FROM datastore_cell WHERE column_id = %s AND value "
    if is_postgresql():
        return f"{sql}= ANY(%s)", [term.column.pk, keys]
    return f"{sql}IN (SELECT value FROM json_each(%s))", [term.column.pk, json.dumps(keys)]
