"""Bringing a document of an older shape to today's: what has been added since has its default, what
has been removed is left out. Documents are compared, restored and exported in this form."""

from typing import Any

from django.db import models

from apps.connectors import registry
from apps.connectors.frozen import (
    FORMAT,
    Document,
    freeze_action,
    freeze_columns_of,
    freeze_row,
    row_model,
)
from apps.connectors.models import Connector, ResponseType


def completed(document: Document) -> Document:
    """`document` as it would be frozen today; itself it is not changed. An action whose kind this
    installation lacks stays as it is."""
    dedupe = {"dedupe": dedupe_of(document)} if "dedupe" in document else {}
    response = {"response": response_of(document)} if "response" in document else {}
    return {
        "format": FORMAT,
        "installation": document.get("installation", ""),
        "connector": document["connector"],
        "mapping": document.get("mapping", {}),
        **_filled(freeze_columns_of(Connector()), {**document, **dedupe, **response}),
        "steps": [
            {**step, "actions": [_completed_action(action) for action in step["actions"]]}
            for step in document["steps"]
        ],
    }


def dedupe_of(document: Document) -> Document:
    """The dedupe rule. The oldest documents name a header, or nothing, without saying more."""
    frozen: Document = document.get("dedupe", {})
    header = frozen.get("header", "").strip()
    return {"by": "header" if header else "none", "path": "", **frozen, "header": header}


def response_of(document: Document) -> Document:
    """The mapped response, whose type was written freely before there was a choice."""
    frozen: Document = document["response"]
    kind = ResponseType.of(frozen["type"]) if isinstance(frozen.get("type"), str) else None
    return {**frozen, "type": kind.value} if kind else frozen


def _completed_action(frozen: Document) -> Document:
    kind = registry.kinds().get(frozen["kind"])
    if kind is None:
        return frozen
    filled = _filled(freeze_action(kind()), frozen)
    for accessor in kind.row_sets:
        rows = frozen.get("rows", {}).get(accessor, [])
        filled["rows"][accessor] = [_completed_row(row_model(kind, accessor), row) for row in rows]
    return filled


def _completed_row(model: type[models.Model], frozen: Document) -> Document:
    return _filled(freeze_row(model()), frozen)


def _filled(today: Document, frozen: Document) -> Document:
    """What stands in `today`, with the values of `frozen` where it has them; one level deep."""
    return {name: _value(value, frozen.get(name, value)) for name, value in today.items()}


def _value(today: Any, frozen: Any) -> Any:
    if not (isinstance(today, dict) and isinstance(frozen, dict)):
        return frozen
    return {name: frozen.get(name, value) for name, value in today.items()}
