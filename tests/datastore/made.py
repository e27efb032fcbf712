"""Tables for tests."""

from apps.datastore.models import Column, Row
from apps.datastore.tables import cells, rows
from tests.factories import TableFactory


def made_table(name="Orders", **columns):
    """A table with columns of these types by key, in this order; `key` before the type makes it the
    key column: made_table(code="key text", total="number")."""
    table = TableFactory(name=name)
    for position, (key, type) in enumerate(columns.items()):
        *is_key, type = type.split()
        Column.objects.create(
            table=table,
            name=key.replace("_", " ").capitalize(),
            type=type,
            is_key=bool(is_key),
            position=position,
        )
    return table


def column(table, key):
    return Column.objects.get(table=table, key=key)


def add_row(table, **texts):
    """A row with these texts by the column's key, read by its type."""
    columns = {one.key: one for one in rows.columns_for_writing(table)}
    values = {columns[key]: cells.read(columns[key], text) for key, text in texts.items()}
    return rows.create_row(table, values)


def contents(table):
    """What the rows hold by the columns' keys, in the order of the rows."""
    columns = {one.field: one.key for one in Column.objects.filter(table=table)}
    return [
        {columns[field]: value for field, value in row.data.items()}
        for row in Row.objects.filter(table=table).order_by("pk")
    ]
