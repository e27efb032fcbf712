"""The statements that write many rows at once, spelled for both databases. Callers hold the lock of
the table."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection

from apps.core import clock
from apps.core.due import is_postgresql, moment
from apps.core.rows import among

# The values of a patch: by column id; None takes the value away.
Patch = Mapping[int, Any]
# What the index keeps of each changed column; None where it keeps nothing.
Index = Mapping[int, str | None]


def _run(sql: str, params: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def lock_table(table_id: int) -> bool:
    """Until the transaction ends nobody else writes rows or columns of the table: what writes them
    begins with this, so that a check still holds when its row is written. False when the table is
    gone. On SQLite a transaction is alone anyway."""
    lock = " FOR NO KEY UPDATE" if is_postgresql() else ""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM datastore_table WHERE id = %s{lock}", [table_id])
        return cursor.fetchone() is not None


def write_values(ids: Collection[int], patch: Patch, index: Index, cause: Sequence[Any]) -> None:
    """Give all these rows the same values in these columns; `cause` as in `core.cause`."""
    which, given = among("id", ids)
    data, params = _patched(patch)
    _run(
        f"UPDATE datastore_row SET data = {data}, updated_at = %s, cause = %s, cause_id = %s"
        f" WHERE {which}",
        [*params, moment(clock.now()), *cause, given],
    )
    write_index(ids, index)


def _patched(patch: Patch) -> tuple[str, list[Any]]:
    """The expression for the new data, and its parameters."""
    filled = {str(pk): value for pk, value in patch.items() if value is not None}
    emptied = [str(pk) for pk, value in patch.items() if value is None]
    if is_postgresql():
        return "(data || %s::jsonb) - %s::text[]", [json.dumps(filled), emptied]
    data, params = "data", []
    for field, value in filled.items():
        data = f"json_set({data}, %s, json(%s))"
        params += [f'$."{field}"', json.dumps(value)]
    if emptied:
        data = f"json_remove({data}{', %s' * len(emptied)})"
        params += [f'$."{field}"' for field in emptied]
    return data, params


def write_index(ids: Collection[int], index: Index) -> None:
    """Make the index of these rows and columns say the same for all of them."""
    which, given = among("row_id", ids)
    marks = ", ".join(["%s"] * len(index))
    _run(
        f"DELETE FROM datastore_cell WHERE {which} AND column_id IN ({marks})",
        [given, *index],
    )
    which, given = among("id", ids)
    for column_id, value in index.items():
        if value is not None:
            _run(
                "INSERT INTO datastore_cell (row_id, column_id, value)"
                f" SELECT id, %s, %s FROM datastore_row WHERE {which}",
                [column_id, value, given],
            )


def write_key(ids: Collection[int], key: str | None) -> None:
    """What the key column's value is known by; several rows can only have none."""
    which, given = among("id", ids)
    _run(f"UPDATE datastore_row SET key_value = %s WHERE {which}", [key, given])


def delete_rows(ids: Collection[int]) -> None:
    which, given = among("row_id", ids)
    _run(f"DELETE FROM datastore_cell WHERE {which}", [given])
    which, given = among("id", ids)
    _run(f"DELETE FROM datastore_row WHERE {which}", [given])


def forget_rows(table_id: int) -> None:
    """Delete all rows of the table."""
    columns = "SELECT id FROM datastore_column WHERE table_id = %s"
    _run(f"DELETE FROM datastore_cell WHERE column_id IN ({columns})", [table_id])
    _run("DELETE FROM datastore_row WHERE table_id = %s", [table_id])


def forget_column(table_id: int, column_id: int) -> None:
    """Take what all rows hold in the column away."""
    _run("DELETE FROM datastore_cell WHERE column_id = %s", [column_id])
    data, params = _patched({column_id: None})
    _run(f"UPDATE datastore_row SET data = {data} WHERE table_id = %s", [*params, table_id])


def forget_keys(table_id: int) -> None:
    """The table has no key column any more."""
    _run("UPDATE datastore_row SET key_value = NULL WHERE table_id = %s", [table_id])
