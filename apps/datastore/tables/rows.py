"""What can be done to the rows of a table. Values are given by column as `cells.read` returns them;
None is an empty cell. Nothing is half done: a refusal comes before the first write."""

from collections.abc import Collection, Mapping
from typing import Any

from apps.core import rows
from apps.datastore.models import Cell, Column, Row, Table
from apps.datastore.tables import cells, statements

Values = Mapping[Column, Any]


class Refused(ValueError):
    """The rows were left as they are; the message is a sentence that says why."""


def columns_for_writing(table: Table) -> list[Column]:
    """The columns, which stay as they are until the transaction ends, as do rows but for what it
    writes itself. Whatever writes rows begins with this. Raises Refused when the table is gone."""
    if not statements.lock_table(table.pk):
        raise Refused(f'Table "{table}" was deleted')
    return list(Column.objects.filter(table=table.pk))


def key_of(values: Values) -> str | None:
    """The canonical form of the value in the key column."""
    key = next((value for column, value in values.items() if column.is_key), None)
    return None if key is None else cells.canonical(key)


def create_row(table: Table, values: Values, cause: str = "", cause_id: int | None = None) -> Row:
    """Add a row. Raises Refused when its key is taken."""
    data = {column.field: value for column, value in values.items() if value is not None}
    row = Row(table=table, data=data, key_value=key_of(values), cause=cause, cause_id=cause_id)
    stored: Row | None = rows.insert_unless_taken(row)
    if stored is None:
        raise _taken(values)
    rows.insert(index_of(stored.pk, values))
    return stored


def index_of(row_id: int, values: Values) -> list[Cell]:
    """The entries of a new row."""
    entries = {column.pk: cells.index_entry(column, value) for column, value in values.items()}
    return [
        Cell(row_id=row_id, column_id=column_id, value=value)
        for column_id, value in entries.items()
        if value is not None
    ]


def update_rows(
    ids: Collection[int], values: Values, cause: str = "", cause_id: int | None = None
) -> None:
    """Give these rows of one table the values. Raises Refused when they would share a key, or have
    one that is taken."""
    if not ids or not values:
        return
    key_column = next((column for column in values if column.is_key), None)
    if key_column is not None:
        key = key_of(values)
        _check_key(key_column, values, key, ids)
        statements.write_key(ids, key)
    statements.write_values(
        ids,
        {column.pk: value for column, value in values.items()},
        {column.pk: cells.index_entry(column, value) for column, value in values.items()},
        [cause, cause_id],
    )


def _check_key(column: Column, values: Values, key: str | None, ids: Collection[int]) -> None:
    """The lock of the table makes the answer last."""
    if key is None:
        return
    if len(ids) > 1:
        raise Refused(f"{_quoted(values)} can't be the key of {len(ids):,} rows.")
    if Row.objects.filter(table=column.table_id, key_value=key).exclude(pk__in=ids).exists():
        raise _taken(values)


def _taken(values: Values) -> Refused:
    return Refused(f"A row with the key {_quoted(values)} exists already.")


def _quoted(values: Values) -> str:
    column, value = next((column, value) for column, value in values.items() if column.is_key)
    return f'"{cells.shown(column, value)[:60]}"'


def empty_rows(
    ids: Collection[int], columns: Collection[Column], cause: str = "", cause_id: int | None = None
) -> None:
    """Empty these columns of these rows, which stay."""
    update_rows(ids, dict.fromkeys(columns), cause, cause_id)


def delete_rows(ids: Collection[int]) -> None:
    if ids:
        statements.delete_rows(ids)


def read_row(row_id: int, columns: Collection[Column]) -> dict[str, Any]:
    """What a row holds by the columns' keys, as texts and filters get it."""
    row: Row | None = next(iter(rows.select(Row, "id = %s", [row_id])), None)
    data = row.data if row else {}
    return {column.key: cells.given(column, data.get(column.field)) for column in columns}
