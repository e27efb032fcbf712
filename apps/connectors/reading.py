"""Reading the file of an export: from bytes to a document that has the right shape, or one sentence
about what is wrong with it. What the values mean is checked where they are written."""

import json
import re
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import models

from apps.connectors import registry
from apps.connectors.completing import completed
from apps.connectors.frozen import (
    ACTION_COLUMNS,
    CONNECTOR_COLUMNS,
    FORMAT,
    Document,
    own_fields,
    row_fields,
    row_model,
)
from apps.connectors.models import Action, Connector

# Of the connector, in force at once; in an export, but in no revision.
SETTINGS = (
    "description",
    "capture",
    "auth",
    "auth_header",
    "auth_tolerance",
    "inbound_per_minute",
)
# Actions and rows of actions: each is a form and an insert.
MOST_PARTS = 2_000
DEEPEST = 40
_KEY = re.compile(r"[a-z][a-z0-9_]{0,79}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class NotImportable(ValueError):
    """Nothing was imported; the message says why, in one sentence."""


@dataclass
class _Seen:
    """What may stand in a file only once, and how much there is of it."""

    uids: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    parts: int = 0

    def count(self) -> None:
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise NotImportable(f"The file has more than {MOST_PARTS:,} actions and rows.")


def read(raw: bytes) -> Document:
    """The document in `raw`, in today's shape, with `settings` where the file has them. Raises
    NotImportable."""
    document = _json(raw)
    if not isinstance(document, dict) or not {"format", "connector", "steps"} <= document.keys():
        raise NotImportable("This is not the export of a connector.")
    _check_format(document["format"])
    _check_values(document)
    _check_document(document)
    read = {**completed(document), "settings": document.get("settings", {})}
    for step in read["steps"]:
        for action in step["actions"]:
            action["config"] = registry.kind_of(action["kind"]).arrived(action["config"])
    return read


def _json(raw: bytes) -> Any:
    most = settings.MAX_IMPORT_BYTES
    if len(raw) > most:
        raise NotImportable(f"The file is too large: up to {most // 1024:,} KB can be imported.")
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise NotImportable("The file is nested too deeply.") from None
    except ValueError:
        raise NotImportable("This is not the export of a connector: it is no JSON.") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check_format(number: Any) -> None:
    if type(number) is not int or number < 1:
        raise NotImportable("This is not the export of a connector: its format is no number.")
    if number > FORMAT:
        raise NotImportable(
            f"The file has format {number}, which is newer than this installation: it reads up to "
            f"format {FORMAT}. Upgrade Switchboard, then import it."
        )


def _check_values(document: Document) -> None:
    """Nothing that a database can't take, at no depth that would exhaust anybody."""
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += [*value, *value.values()]
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and _UNSTORABLE.search(value):
                raise NotImportable("The file has characters that can't be stored.")
        if not inner:
            return
        level = inner
    raise NotImportable("The file is nested too deeply.")


# --- shape ----------------------------------------------------------------------------------------


def _check_document(document: Document) -> None:
    outside = {"format", "installation", "connector", "mapping", "steps", "settings"}
    _object(document, outside | {path[0] for path in CONNECTOR_COLUMNS.values()}, "The file")
    _texts(document, {"installation"}, "The file")
    connector = _object(document["connector"], {"uid", "name"}, "The connector")
    _need(connector, {"uid", "name"}, "The connector")
    _texts(connector, {"uid", "name"}, "The connector")
    mapping = _object(document.get("mapping", {}), None, "The field mapping")
    _texts(mapping, set(mapping), "The field mapping")
    _check_connector_columns(document)
    _check_settings(document.get("settings", {}))
    seen = _Seen(uids=[connector["uid"]])
    for number, step in enumerate(_steps(document["steps"]), 1):
        _check_step(step, number, seen)
    _check_once(seen.uids, "id")
    _check_once(seen.keys, "key")


def _check_connector_columns(document: Document) -> None:
    inner: dict[str, set[str]] = {}
    for column, (name, *rest) in CONNECTOR_COLUMNS.items():
        inner.setdefault(name, set()).update(rest)
        part = document.get(name, {}) if rest else document
        value_at = rest[0] if rest else name
        if isinstance(part, dict) and value_at in part:
            _check_type(Connector._meta.get_field(column), part[value_at], "The connector")
    for name, known in inner.items():
        if known and name in document:
            _object(document[name], known, f"The connector's {name}")


def _check_settings(values: Any) -> None:
    _object(values, {*SETTINGS, "credential"}, "The settings")
    for name in SETTINGS:
        if name in values:
            _check_type(Connector._meta.get_field(name), values[name], "The settings")
    if values.get("credential") is not None:
        credential = _object(values["credential"], {"name", "kind"}, "The credential")
        _texts(credential, {"name", "kind"}, "The credential")
        _need(credential, {"name"}, "The credential")


def _steps(steps: Any) -> list[Any]:
    if not isinstance(steps, list):
        raise NotImportable("The steps are no list.")
    if len(steps) > settings.MAX_STEPS:
        raise NotImportable(
            f"The file has {len(steps)} steps: a connector can have up to {settings.MAX_STEPS}."
        )
    return steps


def _check_step(step: Any, number: int, seen: _Seen) -> None:
    place = f"Step {number}"
    known = {"uid", "name", "actions"}
    _need(_object(step, known, place), known, place)
    _texts(step, {"uid", "name"}, place)
    if not isinstance(step["actions"], list):
        raise NotImportable(f"{place}: the actions are no list.")
    seen.uids.append(step["uid"])
    for position, action in enumerate(step["actions"], 1):
        _check_action(action, f"{place}, action {position}", seen)


def _check_action(action: Any, place: str, seen: _Seen) -> None:
    seen.count()
    _object(action, {"uid", "kind", *ACTION_COLUMNS, "config", "refs", "rows"}, place)
    _need(action, {"uid", "kind", "key"}, place)
    _texts(action, {"uid", "kind"}, place)
    try:
        kind = registry.kind_of(action["kind"])
    except registry.UnknownKind as unknown:
        raise NotImportable(
            f'{place}: this installation has no action kind "{_short(unknown)}".'
        ) from None
    place = f"{place} ({kind.title})"
    for name in ACTION_COLUMNS:
        if name in action:
            _check_type(Action._meta.get_field(name), action[name], place)
    if not _KEY.fullmatch(action["key"]):
        raise NotImportable(f'{place}: "{_short(action["key"])}" is no key.')
    seen.uids.append(action["uid"])
    seen.keys.append(action["key"])
    _check_columns(action, own_fields(kind), place)
    _check_rows(action, kind, place, seen)


def _check_rows(action: Document, kind: type[Action], place: str, seen: _Seen) -> None:
    rows = _object(action.get("rows", {}), set(kind.row_sets), place)
    for accessor, listed in rows.items():
        if not isinstance(listed, list):
            raise NotImportable(f"{place}: {accessor} is no list.")
        for number, row in enumerate(listed, 1):
            seen.count()
            inside = f"{place}, {accessor} {number}"
            _object(row, {"config", "refs"}, inside)
            _check_columns(row, row_fields(row_model(kind, accessor)), inside)


def _check_columns(part: Document, fields: list[Any], place: str) -> None:
    """The `config` and the `refs` of an action or of one of its rows."""
    plain = {field.name: field for field in fields if not field.is_relation}
    for name, value in _object(part.get("config", {}), set(plain), place).items():
        _check_type(plain[name], value, place)
    references = {field.name for field in fields if field.is_relation}
    for name, ref in _object(part.get("refs", {}), references, place).items():
        if ref is not None:
            inside = f"{place}, {name}"
            _need(_object(ref, {"id", "name"}, inside), {"name"}, inside)
            _texts(ref, {"name"}, inside)


def _check_once(values: list[str], what: str) -> None:
    for value, count in Counter(values).items():
        if what == "id" and not _is_uuid(value):
            raise NotImportable(f'"{_short(value)}" is no id.')
        if count > 1:
            raise NotImportable(f'The {what} "{_short(value)}" stands in the file {count} times.')


# --- small parts ----------------------------------------------------------------------------------


def _object(value: Any, known: set[str] | None, place: str) -> Document:
    """`value`, which must be an object with names of `known` only."""
    if not isinstance(value, dict):
        raise NotImportable(f"{place} can't be read: an object was expected.")
    for name in value:
        if known is not None and name not in known:
            raise NotImportable(f'{place}: this installation knows no "{_short(name)}".')
    return value


def _need(part: Document, names: set[str], place: str) -> None:
    for name in sorted(names - part.keys()):
        raise NotImportable(f"{place} has no {name}.")


def _texts(part: Document, names: set[str], place: str) -> None:
    for name in sorted(names & part.keys()):
        if not isinstance(part[name], str):
            raise NotImportable(f'{place}: "{_short(name)}" must be a text.')


def _check_type(field: Any, value: Any, place: str) -> None:
    """Whether `value` has the JSON type in which freezing writes the column."""
    expected, spelled = _json_type(field)
    if value is None and field.null:
        return
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise NotImportable(f'{place}: "{field.verbose_name}" must be {spelled}.')


def _json_type(field: Any) -> tuple[tuple[type, ...], str]:
    if isinstance(field, models.JSONField):
        return (dict, list, str, int, float, bool, type(None)), "a JSON value"
    if isinstance(field, models.BooleanField):
        return (bool,), "true or false"
    if isinstance(field, models.IntegerField):
        return (int,), "a whole number"
    if isinstance(field, models.FloatField):
        return (int, float), "a number"
    return (str,), "a text"


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _short(text: object) -> str:
    return str(text)[:60]
