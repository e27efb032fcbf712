"""Writing a document into draft rows: what restoring a revision and importing a file share."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.forms import model_to_dict

from apps.connectors import registry
from apps.connectors.draft import step_name
from apps.connectors.frozen import (
    ACTION_COLUMNS,
    CONNECTOR_COLUMNS,
    Document,
    own_fields,
    row_fields,
    row_model,
)
from apps.connectors.models import Action, Connector, FieldMapping, Step
from apps.connectors.reading import NotImportable
from apps.connectors.references import References
from apps.connectors.rows import fill
from apps.connectors.uids import Uids


def write_draft(
    connector: Connector, document: Document, usable: Collection[int] | None = None
) -> list[str]:
    """Make the draft of `connector`, which is saved, what `document` says; it is in today's shape
    (`completing.completed`). Belongs into a transaction: raises NotImportable half-way. `usable`:
    the ids of the credentials that may stand in it; None: all of them.

    Returns one sentence for each reference that leads to nothing here. The actions concerned keep
    it as a problem, and lack the reference.
    """
    write_columns(connector, frozen_columns(document), {})
    _write_mapping(connector, document["mapping"])
    uids = Uids(document, connector)
    references = References(document, connector, usable)
    connector.steps.all().delete()
    sentences: list[str] = []
    for position, frozen in enumerate(document["steps"]):
        place = f"Step {position + 1}"
        try:
            name = step_name(frozen["name"])
        except ValidationError as error:
            raise NotImportable(f"{place}: {error.messages[0]}") from None
        uid = uids.get(frozen["uid"])
        step = Step.objects.create(connector=connector, name=name, position=position, uid=uid)
        for number, each in enumerate(frozen["actions"]):
            action = ActionWriter(step, number, each, references)
            action.write(uids.get(each["uid"]))
            sentences += [f"{step.name} › {action.action}: {text}" for text in action.unresolved]
    return sentences


def frozen_columns(document: Document) -> Document:
    """The connector's own frozen columns by name."""
    columns = {}
    for column, path in CONNECTOR_COLUMNS.items():
        value: Any = document
        for key in path:
            value = value[key]
        columns[column] = value
    return columns


def write_columns(connector: Connector, values: Document, refs: Document) -> None:
    """Save columns of the connector, checked together with those that it has."""
    present = {
        name: value
        for name, value in model_to_dict(connector).items()
        if name not in values and name != "credential"
    }
    target = refs.get("credential", connector.credential)
    fill(connector, {**present, **values}, {"credential": target}, "The connector")
    connector.save(update_fields=None if connector._state.adding else [*values, *refs])


def _write_mapping(connector: Connector, mapping: Document) -> None:
    connector.mappings.all().delete()
    for field, value in mapping.items():
        row = FieldMapping(connector=connector)
        fill(row, {"field": field, "value": value}, {}, f"Field mapping, {field[:60]}")
        row.save()


class ActionWriter:
    """Writes one frozen action with its rows; `unresolved` tells what it did not find."""

    def __init__(self, step: Step, position: int, frozen: Document, find: References) -> None:
        kind = registry.kind_of(frozen["kind"])
        self.action: Action = kind(step=step, position=position)
        self.frozen = frozen
        self.references = find
        self.place = f"Step {step.position + 1}, action {position + 1} ({kind.title})"
        self.unresolved: list[str] = []

    def write(self, uid: str) -> None:
        kind, frozen = type(self.action), self.frozen
        values = {name: frozen[name] for name in ACTION_COLUMNS} | frozen["config"]
        refs = self._refs(own_fields(kind), frozen)
        self.action.uid = uid  # type: ignore[assignment]
        fill(self.action, values, refs, self.place)
        self.action.save()
        for accessor in kind.row_sets:
            for number, row in enumerate(frozen["rows"][accessor], 1):
                self._write_row(row_model(kind, accessor), row, f"{accessor} {number}")
        self.action.refresh_summary()
        if self.unresolved:
            Action.objects.filter(pk=self.action.pk).update(unresolved=self.unresolved)

    def _refs(self, fields: list[Any], frozen: Document, lost: str = "") -> Document:
        refs = {}
        for field in fields:
            if field.is_relation:
                ref = frozen["refs"][field.name]
                refs[field.name] = self.references.find(field, ref)
                if ref is not None and refs[field.name] is None:
                    self.unresolved.append(self.references.why_not(field, ref, lost))
        return refs

    def _write_row(self, model: type[models.Model], frozen: Document, name: str) -> None:
        """A row that is nothing without what it refers to is left out; its other columns are told
        with what was not found."""
        fields = row_fields(model)
        essential = {f.name for f in fields if f.is_relation and not f.null}
        config = frozen["config"]
        told = [f"{column}: {value}" for column, value in config.items() if value]
        refs = self._refs(fields, frozen, ", ".join(told) if essential else "")
        if any(refs[column] is None for column in essential):
            return
        row = model(action=self.action)
        place = f"{self.place}, {name}"
        fill(row, config, refs, place)
        try:
            row.validate_constraints()
        except ValidationError as error:
            raise NotImportable(f"{place}: {error.messages[0]}") from None
        row.save()
