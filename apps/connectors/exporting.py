"""The file of an export: a document (see `frozen`), with those settings of the connector that make
sense elsewhere. No secret is in it, and no id of a person."""

from typing import Any

from django.conf import settings
from django.utils.text import slugify

from apps.connectors import registry
from apps.connectors.completing import completed
from apps.connectors.frozen import Document, freeze, own_fields, row_fields, row_model
from apps.connectors.models import Connector, Revision
from apps.connectors.reading import SETTINGS
from apps.core.readable import pretty_json


def export(connector: Connector, revision: Revision | None = None) -> str:
    """The draft, or a revision, as text; the same content makes the same text."""
    document = completed(revision.document) if revision else freeze(connector)
    for step in document["steps"]:
        step["actions"] = [_fit_to_leave(action) for action in step["actions"]]
    return pretty_json({**document, "settings": _settings(connector)}, sort_keys=True) + "\n"


def file_name(connector: Connector, revision: Revision | None = None) -> str:
    name = slugify(connector.name)[:60] or f"connector-{connector.pk}"
    return f"{name}-revision-{revision.number}.json" if revision else f"{name}.json"


def _settings(connector: Connector) -> Document:
    credential = connector.credential
    named = {"name": credential.name, "kind": credential.kind} if credential else None
    return {**{name: getattr(connector, name) for name in SETTINGS}, "credential": named}


def _fit_to_leave(frozen: Document) -> Document:
    """Without secrets and without ids of people: a user is found by the login alone."""
    kind = registry.kinds().get(frozen["kind"])
    if kind is None:
        return frozen
    cleaned = _without_ids(frozen, own_fields(kind))
    cleaned["config"] = kind.exported(frozen["config"])
    if kind.row_sets:
        cleaned["rows"] = {
            name: [_without_ids(row, row_fields(row_model(kind, name))) for row in rows]
            for name, rows in frozen["rows"].items()
        }
    return cleaned


def _without_ids(part: Document, fields: list[Any]) -> Document:
    people = {f.name for f in fields if f.is_relation and _is_person(f.related_model)}
    if not people:
        return {**part}
    refs = {
        name: {**ref, "id": None} if name in people and ref else ref
        for name, ref in part["refs"].items()
    }
    return {**part, "refs": refs}


def _is_person(model: Any) -> bool:
    return bool(model._meta.label in (settings.AUTH_USER_MODEL, "crm.Contact"))
