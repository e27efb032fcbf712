"""Tables as CSV: the whole of one goes out, a sheet of many rows comes in whole or not at all."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.core import clock
from apps.core import rows as core_rows
from apps.core.transfer.neutral import restore
from apps.datastore.models import Column, Row, Table
from apps.datastore.tables import cells, rows, schema, statements

DELIMITERS = ",;\t"

# --- out ------------------------------------------------------------------------------------------


def header(table: Table) -> list[str]:
    return [column.name for column in _columns(table)]


def lines(table: Table) -> Iterator[list[str]]:
    """The cells of each row, read in slices."""
    columns = _columns(table)
    for found in schema.slices(table.pk):
        for row in found:
            yield [cells.spelled(column, row.data.get(column.field)) for column in columns]


def _columns(table: Table) -> list[Column]:
    return list(Column.objects.filter(table=table.pk))


# --- in -------------------------------------------------------------------------------------------


class NotTaken(ValueError):
    """Nothing of the sheet was taken in; `problems` are sentences, the first with its line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems[0])
        self.problems = problems


@dataclass
class Taken:
    """What came of a sheet."""

    added: int = 0
    changed: int = 0


@dataclass
class _Sheet:
    columns: list[Column]
    # By line: the values of its columns.
    values: dict[int, dict[Column, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def take_in(table: Table, raw: bytes) -> Taken:
    """Add the rows of a CSV file; those whose key is there already are changed in the columns that
    the file has. Raises NotTaken, and rows.Refused when the table is gone."""
    listed = _read(raw)
    with transaction.atomic():
        columns = rows.columns_for_writing(table)
        sheet = _sheet(listed, columns)
        if sheet.problems:
            raise NotTaken(sheet.problems)
        return _store(table, sheet, columns)


def _read(raw: bytes) -> list[tuple[int, list[str]]]:
    """The filled lines of the file with their numbers."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotTaken(["The file is not in UTF-8: save it as CSV UTF-8."]) from None
    if "\0" in text:
        raise NotTaken(["This is not a CSV file."])
    first = text.splitlines()[0] if text.strip() else ""
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    most, listed = settings.MAX_SHEET_ROWS, []
    try:
        for line in reader:
            if any(cell.strip() for cell in line):
                listed.append((reader.line_num, line))
            if len(listed) > most + 1:
                raise NotTaken([f"The file has more than {most:,} rows: split it."])
    except csv.Error as error:
        raise NotTaken([f"Line {reader.line_num} can't be read: {error}."]) from None
    if not listed:
        raise NotTaken(["The file is empty: its first line names the columns."])
    return listed


def _sheet(listed: list[tuple[int, list[str]]], columns: list[Column]) -> _Sheet:
    (_, head), *body = listed
    sheet = _Sheet(_named(head, columns))
    seen: dict[str, int] = {}
    for number, line in body:
        values, wrong = _values(sheet.columns, line)
        key = rows.key_of(values)
        if key is None and not wrong and any(column.is_key for column in sheet.columns):
            wrong = ["fill in the key."]
        elif key is not None and key in seen:
            wrong.append(f"the key stands in line {seen[key]}, too.")
        if key is not None:
            seen.setdefault(key, number)
        sheet.problems += [f"Line {number}: {problem}" for problem in wrong]
        sheet.values[number] = values
    return sheet


def _named(head: list[str], columns: list[Column]) -> list[Column]:
    """The columns that the first line names, by name or key."""
    known = {column.key: column for column in columns}
    known |= {column.name.casefold(): column for column in columns}
    named, problems = [], []
    for cell in head:
        name = " ".join(restore(cell).split())
        column = known.get(name.casefold())
        if column is None:
            problems.append(f'The table has no column "{name[:60]}".')
        elif column in named:
            problems.append(f'The column "{column.name}" stands in the first line twice.')
        else:
            named.append(column)
    if problems:
        raise NotTaken(problems)
    return named


def _values(columns: list[Column], line: list[str]) -> tuple[dict[Column, Any], list[str]]:
    """What a line says, and what is wrong with it."""
    values: dict[Column, Any] = {}
    wrong = []
    if any(cell.strip() for cell in line[len(columns) :]):
        wrong.append("there are more cells than columns.")
    for column, text in zip(columns, line + [""] * len(columns), strict=False):
        try:
            values[column] = cells.read(column, restore(text))
        except cells.BadCell as error:
            wrong.append(str(error))
    return values, wrong


def _store(table: Table, sheet: _Sheet, columns: list[Column]) -> Taken:
    keys = {number: rows.key_of(values) for number, values in sheet.values.items()}
    there = _by_key(table.pk, [key for key in keys.values() if key is not None])
    new, changed = [], []
    for number, values in sheet.values.items():
        row = there.get(keys[number] or "")
        if row is None:
            new.append((_with_defaults(values, columns), keys[number]))
        else:
            changed.append((row, values))
    _add(table, new)
    _change(changed)
    return Taken(len(new), len(changed))


def _by_key(table_id: int, keys: list[str]) -> dict[str, Row]:
    which, given = core_rows.among("key_value", keys)
    found = core_rows.select(Row, f"table_id = %s AND {which}", [table_id, given]) if keys else []
    return {row.key_value: row for row in found}


def _with_defaults(values: dict[Column, Any], columns: list[Column]) -> dict[Column, Any]:
    return {
        column: values[column] if column in values else cells.read(column, column.default)
        for column in columns
    }


def _add(table: Table, new: list[tuple[dict[Column, Any], str | None]]) -> None:
    now = clock.now()
    made = [
        Row(table=table, data=_data(values), key_value=key, created_at=now, updated_at=now)
        for values, key in new
    ]
    Row.objects.bulk_create(made, batch_size=schema.SLICE)
    pairs = zip(made, new, strict=True)
    core_rows.insert([cell for row, (values, _) in pairs for cell in rows.index_of(row.pk, values)])


def _data(values: dict[Column, Any]) -> dict[str, Any]:
    return {column.field: value for column, value in values.items() if value is not None}


def _change(changed: Iterable[tuple[Row, dict[Column, Any]]]) -> None:
    changed = list(changed)
    if not changed:
        return
    now = clock.now()
    for row, values in changed:
        kept = {k: v for k, v in row.data.items() if k not in {c.field for c in values}}
        row.data, row.updated_at = {**kept, **_data(values)}, now
        row.cause, row.cause_id = "", None
    found = [row for row, _ in changed]
    fields = ["data", "updated_at", "cause", "cause_id"]
    Row.objects.bulk_update(found, fields, batch_size=schema.SLICE)
    columns = {column.pk: None for _, values in changed for column in values}
    statements.write_index([row.pk for row in found], columns)
    core_rows.insert([c for row, values in changed for c in rows.index_of(row.pk, values)])
