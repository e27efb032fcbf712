"""Statements on the hot path, spelled by hand: the same rows that the ORM would write, without
building a query and preparing each value anew every time."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from django.db import connection, models
from django.db.models.base import ModelState

_encode = json.JSONEncoder(default=str).encode


def select(model: Any, where: str, params: Sequence[Any]) -> list[Any]:
    """Instances of the rows that meet `where`, the tail of a SELECT after WHERE."""
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns(model)} FROM {table} WHERE {where}", params)
        found = cursor.fetchall()
    return [instance(model, row) for row in found]


def by_key(model: Any, keys: Collection[Any]) -> dict[Any, Any]:
    """The rows with these primary keys, by key."""
    if not keys:
        return {}
    which, given = among("id", keys)
    return {row.pk: row for row in select(model, which, [given])}


def one(model: Any, name: str, value: Any) -> Any:
    """The row with this value in a unique column; None without one."""
    field = model._meta.get_field(name)
    prepare = _preparation(field)
    given = prepare(value) if prepare else value
    found = select(model, f"{connection.ops.quote_name(field.column)} = %s", [given])
    return found[0] if found else None


def among(column: str, ids: Collection[Any]) -> tuple[str, Any]:
    """A condition that is the same text for any number of ids, and its one parameter. (A mark for
    each id makes a new statement each time, which nothing remembers.)"""
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s)", list(ids)
    return f"{column} IN (SELECT value FROM json_each(%s))", json.dumps(list(ids))


@cache
def columns(model: Any) -> str:
    """All columns of the table, in the order in which `instance` takes their values."""
    names = (field.column for field in model._meta.concrete_fields)
    return ", ".join(connection.ops.quote_name(name) for name in names)


def instance(model: Any, row: Sequence[Any]) -> Any:
    """A model instance from raw column values, with the conversions that a query set makes."""
    names, conversions = _loading(model)
    values = list(row)
    for place, convert in conversions:
        values[place] = convert(values[place], None, connection)
    return model.from_db("default", names, values)


def twin(row: Any) -> Any:
    """Another instance of the same row, as copy.copy makes one, in a tenth of the time."""
    model: Any = type(row)
    made = model.__new__(model)
    made.__dict__.update(row.__dict__)
    made._state = ModelState()
    made._state.db, made._state.adding = row._state.db, row._state.adding
    made._state.fields_cache = {**row._state.fields_cache}
    return made


@cache
def _loading(model: Any) -> tuple[list[str], list[tuple[int, Any]]]:
    fields = model._meta.concrete_fields
    conversions = []
    for place, field in enumerate(fields):
        expression = field.get_col(model._meta.db_table)
        for convert in (
            *connection.ops.get_db_converters(expression),
            *field.get_db_converters(connection),
        ):
            conversions.append((place, convert))
    return [field.attname for field in fields], conversions


def insert(rows: Sequence[models.Model]) -> None:
    """Add new rows of one model in one go; they don't learn their ids.

    COPY on PostgreSQL: a third of the time that bulk_create takes, on both sides. A single row is
    there sooner by a plain INSERT, which is one message instead of two.
    """
    if not rows:
        return
    model: Any = type(rows[0])
    table, names, marks = _target(model)
    values = [_values(row) for row in rows]
    with connection.cursor() as cursor:
        if len(values) == 1:
            cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values[0])
        elif connection.vendor == "postgresql":
            copying = cursor.copy(f"COPY {table} ({names}) FROM STDIN")
            # Django translates the errors of statements only.
            with connection.wrap_database_errors, copying as copy:
                for each in values:
                    copy.write_row(each)
        else:
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)


def insert_unless_taken(row: models.Model) -> Any:
    """Add one new row and return it as it is stored; None, and nothing done, when it would break
    a unique constraint."""
    model: Any = type(row)
    table, names, marks = _target(model)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})"
            f" ON CONFLICT DO NOTHING RETURNING {columns(model)}",
            _values(row),
        )
        stored = cursor.fetchone()
    return instance(model, stored) if stored else None


# Values that one statement may have: SQLite's limit, rounded down.
_MOST_VALUES = 30_000


def insert_new(rows: Sequence[models.Model]) -> list[Any]:
    """Add new rows of one model and return them as they are stored, without those that would
    break a unique constraint, in any order."""
    if not rows:
        return []
    returned = columns(type(rows[0]))
    return _insert_many(rows, f"ON CONFLICT DO NOTHING RETURNING {returned}")


def insert_missing(rows: Sequence[models.Model]) -> None:
    """Add those new rows of one model that break no unique constraint."""
    if rows:
        _insert_many(rows, "ON CONFLICT DO NOTHING")


def upsert_many(rows: Sequence[models.Model], unique: Sequence[str]) -> None:
    """Like `upsert`, for rows of which no two have the same `unique` columns."""
    if rows:
        names = _target(type(rows[0]))[1].split(", ")
        kept = ", ".join(f"{name} = excluded.{name}" for name in names)
        _insert_many(rows, f"ON CONFLICT ({', '.join(unique)}) DO UPDATE SET {kept}")


def _insert_many(rows: Sequence[models.Model], on_conflict: str) -> list[Any]:
    model: Any = type(rows[0])
    table, names, marks = _target(model)
    at_once = _MOST_VALUES // marks.count("%s")
    returned: list[Any] = []
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} ({names}) VALUES {', '.join([f'({marks})'] * len(some))}"
                f" {on_conflict}",
                [value for row in some for value in _values(row)],
            )
            if "RETURNING" in on_conflict:
                returned += [instance(model, row) for row in cursor.fetchall()]
    return returned


def update(rows: Sequence[models.Model], names: Sequence[str]) -> None:
    """Write these attributes of rows of one model: one statement on PostgreSQL, and for one row a
    plain one, which takes half as long."""
    if not rows:
        return
    model: Any = type(rows[0])
    key, *fields = (model._meta.pk, *(model._meta.get_field(name) for name in names))
    storing = [(field.attname, _preparation(field)) for field in (key, *fields)]
    values = [_values(row, storing) for row in rows]
    table, quote = _target(model)[0], connection.ops.quote_name
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and len(values) > 1:
            # As one JSON text: a value of its own for each cell costs more than all the rest.
            given = [field.column for field in (key, *fields)]
            types = ", ".join(
                f"{quote(field.column)} {field.rel_db_type(connection)}" for field in (key, *fields)
            )
            sets = ", ".join(f"{quote(name)} = given.{quote(name)}" for name in given[1:])
            cursor.execute(
                f"UPDATE {table} SET {sets} FROM json_to_recordset(%s::json) AS given ({types})"
                f" WHERE {table}.{quote(given[0])} = given.{quote(given[0])}",
                [_encode([dict(zip(given, row, strict=True)) for row in values])],
            )
            return
        sets = ", ".join(f"{quote(field.column)} = %s" for field in fields)
        statement = f"UPDATE {table} SET {sets} WHERE {quote(key.column)} = %s"
        changed = [[*row[1:], row[0]] for row in values]
        if len(changed) == 1:
            cursor.execute(statement, changed[0])
        else:
            cursor.executemany(statement, changed)


def upsert(
    row: models.Model, unique: Sequence[str], computed: Mapping[str, str] | None = None
) -> None:
    """Add one new row, or give the one that has the same `unique` columns all its values.

    `computed`: for a column, the SQL that makes what is stored from its value, a `%s` in it.
    """
    table, names, _ = _target(type(row))
    marks = ", ".join((computed or {}).get(f.column, "%s") for f in _fields(type(row)))
    kept = ", ".join(f"{name} = excluded.{name}" for name in names.split(", "))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})"
            f" ON CONFLICT ({', '.join(unique)}) DO UPDATE SET {kept}",
            _values(row),
        )


def _values(row: models.Model, storing: Sequence[tuple[str, Any]] = ()) -> list[Any]:
    return [
        prepare(getattr(row, name)) if prepare else getattr(row, name)
        for name, prepare in storing or _storing(type(row))
    ]


@cache
def _target(model: Any) -> tuple[str, str, str]:
    """The table, its columns that the database doesn't number, and a mark for each value."""
    fields = _fields(model)
    names = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    return connection.ops.quote_name(model._meta.db_table), names, marks


@cache
def _storing(model: Any) -> list[tuple[str, Any]]:
    """For each of those columns: the attribute, and what readies its value if anything does."""
    return [(field.attname, _preparation(field)) for field in _fields(model)]


def _fields(model: Any) -> list[Any]:
    return [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]


def _preparation(field: Any) -> Any:
    if connection.vendor == "postgresql" and type(field) in _AS_THEY_ARE:
        return None
    return lambda value: field.get_db_prep_save(value, connection)


# psycopg takes these values as the model has them.
_AS_THEY_ARE = {
    models.BigIntegerField,
    models.BooleanField,
    models.CharField,
    models.DateTimeField,
    models.ForeignKey,
    models.IntegerField,
    models.TextField,
    models.UUIDField,
}
