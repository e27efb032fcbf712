"""Filling a draft row from a document, checked as the row's own form checks it."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.forms import modelform_factory

from apps.connectors.reading import NotImportable

Values = Mapping[str, Any]


def fill(row: models.Model, values: Values, refs: Values, place: str) -> None:
    """Put `values` (JSON by column) and `refs` (rows or None by column) into `row`, which is not
    saved. A reference that is None stays open: publishing asks for it. Raises NotImportable."""
    fields = {name: row._meta.get_field(name) for name in {**values, **refs}}
    editable: list[Any] = [f for f in fields.values() if f.editable]
    given = {f.name: _as_typed(f, values[f.name]) for f in editable if f.name in values}
    given |= {name: target.pk for name, target in refs.items() if target is not None}
    form = modelform_factory(type(row), fields=[f.name for f in editable])(given, instance=row)
    for name in refs:
        form.fields[name].required = False
    for name, messages in form.errors.items():
        if refs.get(name, row) is not None:
            label = f"{form.fields[name].label}: " if name in form.fields else ""
            raise NotImportable(f"{place}: {label}{messages[0]}")
    for name in values.keys() - form.fields.keys():
        _fill_hidden(row, fields[name], values[name], place)


def _as_typed(field: Any, value: Any) -> Any:
    """As the browser would send it."""
    return json.dumps(value) if isinstance(field, models.JSONField) else value


def _fill_hidden(row: models.Model, field: Any, value: Any, place: str) -> None:
    try:
        setattr(row, field.name, field.clean(value, row))
    except ValidationError as error:
        raise NotImportable(f"{place}: {field.verbose_name}: {error.messages[0]}") from None
