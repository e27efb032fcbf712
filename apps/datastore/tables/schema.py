"""Changing the columns of a table that has rows already. Callers hold the lock of the table."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from apps.core import rows as core_rows
from apps.core import typed
from apps.datastore.models import Cell, Column, Row
from apps.datastore.tables import cells, statements

SLICE = 1_000


def slices(table_id: int, **where: Any) -> Iterator[list[Row]]:
    """All rows of a table in the order of their ids, in slices."""
    last = 0
    while True:
        found = Row.objects.filter(Q(**where), table=table_id, pk__gt=last).order_by("pk")[:SLICE]
        rows = list(found)
        if rows:
            yield rows
        if len(rows) < SLICE:
            return
        last = rows[-1].pk


def why_not_of_type(column: Column, type: str) -> str:
    """Why the column can't be of that type: what rows hold in it; empty when it can."""
    wrong, first = 0, ""
    for rows in slices(column.table_id, data__has_key=column.field):
        for row in rows:
            text = cells.spelled(column, row.data[column.field])
            try:
                cells.read_as(type, text)
            except typed.Unreadable as error:
                wrong += 1
                first = first or f"{str(error).rstrip('.')} (row {row.pk})"
    if not wrong:
        return ""
    held = "1 row holds" if wrong == 1 else f"{wrong:,} rows hold"
    return f"{held} a value that can't be read as the new type, for example: {first}."


def change_type(column: Column, type: str) -> None:
    """Read what all rows hold in the column by its new type, and keep it so. The values have been
    checked."""
    before = Column(pk=column.pk, table_id=column.table_id, type=column.type)
    after = Column(pk=column.pk, table_id=column.table_id, type=type)
    Cell.objects.filter(column=column.pk).delete()
    for rows in slices(column.table_id, data__has_key=column.field):
        entries = []
        for row in rows:
            text = cells.spelled(before, row.data[column.field])
            value = cells.read_as(type, text)
            row.data = {**row.data, column.field: value}
            if value is None:
                del row.data[column.field]
            entries += index_of(row.pk, after, value)
        Row.objects.bulk_update(rows, ["data"])
        core_rows.insert(entries)


def index_of(row_id: int, column: Column, value: Any) -> list[Cell]:
    entry = cells.index_entry(column, value)
    return [] if entry is None else [Cell(row_id=row_id, column_id=column.pk, value=entry)]


def why_no_key(column: Column, type: str) -> str:
    """Why the column, once it is of that type, can't be the key: what rows hold in it; empty when
    it can. The values can be read as the type."""
    seen: Counter[str] = Counter()
    for rows in slices(column.table_id, data__has_key=column.field):
        texts = (cells.spelled(column, row.data[column.field]) for row in rows)
        seen.update(cells.canonical(cells.read_as(type, text)) for text in texts)
    if long := next((key for key in seen if len(key) > cells.KEY_LENGTH), ""):
        return f'"{long[:60]}…" is longer than {cells.KEY_LENGTH} characters, too long for a key.'
    repeated = [(key, count) for key, count in seen.most_common() if count > 1]
    if not repeated:
        return ""
    key, count = repeated[0]
    more = f", and {len(repeated) - 1:,} more values repeat" if len(repeated) > 1 else ""
    return f'{count:,} rows hold "{key[:60]}"{more}: the key must differ in each row.'


def set_keys(column: Column) -> None:
    """Let rows be known by what they hold in the column. The values have been checked."""
    statements.forget_keys(column.table_id)
    for rows in slices(column.table_id, data__has_key=column.field):
        for row in rows:
            row.key_value = cells.canonical(row.data[column.field])
        Row.objects.bulk_update(rows, ["key_value"])
