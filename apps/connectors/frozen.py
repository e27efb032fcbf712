"""Freezing a draft into one JSON document, and thawing actions from it.

The document (format 1) is what runs, what is compared, and what a restore or an import reads:

    {"format": 1, "installation": uid, "connector": {"uid", "name"},
     "mapping": {field: template}, "response": {"body", "type"},
     "dedupe": {"by", "header", "path"}, "in_order": bool,
     "steps": [{"uid", "name", "actions": [
        {"uid", "kind", "key", "label", "enabled",
         "on_error", "retry_times", "retry_wait": seconds, "retry_then",
         "config": {column: value},
         "refs": {column: {"id", "name"} | null},
         "rows": {accessor: [{"config": …, "refs": …}]}}]}]}

References are by id, which wins at home, and by name, which wins elsewhere.
"""

from dataclasses import dataclass
from typing import Any

from django.db import models

from apps.connectors import registry
from apps.connectors.models import Action, Connector, Step
from apps.core.models import Installation

FORMAT = 1

# What is frozen of every action and of the connector: a column that is named here, with its place
# in the document, is frozen, thawed, compared, restored, exported and imported.
ACTION_COLUMNS = (
    "key",
    "label",
    "enabled",
    "on_error",
    "retry_times",
    "retry_wait",
    "retry_then",
)
CONNECTOR_COLUMNS: dict[str, tuple[str, ...]] = {
    "response_body": ("response", "body"),
    "response_type": ("response", "type"),
    "dedupe_by": ("dedupe", "by"),
    "dedupe_header": ("dedupe", "header"),
    "dedupe_path": ("dedupe", "path"),
    "in_order": ("in_order",),
}

Document = dict[str, Any]


@dataclass(frozen=True)
class FrozenRow:
    """A row of an action's own table, as frozen: plain columns as attributes of `config`."""

    model: type[models.Model]
    config: dict[str, Any]
    frozen: dict[str, Any]


def load_actions(steps: list[Step]) -> dict[int, list[Action]]:
    """All actions of `steps` as their own kinds, ordered, by step id; as plain actions, with a
    problem, where this installation has no such kind. The number of queries depends on the kinds
    present, not on the number of actions."""
    base = list(Action.objects.filter(step__in=steps).values_list("pk", "kind", "step_id"))
    specific: dict[int, Action] = {}
    for slug in {kind for _, kind, _ in base}:
        kind = registry.kinds().get(slug, Action)
        foreign = [f.name for f in own_fields(kind) if f.is_relation]
        query = kind._default_manager.select_related("step", *foreign)
        pks = [pk for pk, name, _ in base if name == slug]
        specific.update(query.prefetch_related(*_row_prefetches(kind)).in_bulk(pks))
    loaded: dict[int, list[Action]] = {step.pk: [] for step in steps}
    for pk, _, step_id in base:
        loaded[step_id].append(specific[pk])
    for actions in loaded.values():
        actions.sort(key=lambda action: (action.position, action.pk))
    return loaded


def _row_prefetches(kind: type[Action]) -> list[Any]:
    prefetches: list[Any] = []
    for accessor in kind.row_sets:
        row = row_model(kind, accessor)
        foreign = [f.name for f in row_fields(row) if f.is_relation]
        query = row._default_manager.order_by("pk").select_related(*foreign)
        prefetches.append(models.Prefetch(accessor, queryset=query))
    return prefetches


def own_fields(kind: type[Action]) -> list[Any]:
    """The columns that a kind adds to Action."""
    fields = [] if kind is Action else kind._meta.local_concrete_fields
    return [f for f in fields if not f.primary_key]


def row_model(kind: type[Action], accessor: str) -> type[models.Model]:
    """The model behind one of a kind's `row_sets`."""
    model: Any = kind._meta.get_field(accessor).related_model
    return model  # type: ignore[no-any-return]


def row_fields(row: type[models.Model]) -> list[Any]:
    return [f for f in row._meta.concrete_fields if not f.primary_key and f.name != "action"]


# --- freeze ---------------------------------------------------------------------------------------


def freeze(connector: Connector) -> Document:
    """The draft as a document. Enabled or not, everything is in it, so that it can be restored."""
    steps = list(connector.steps.all())
    actions = load_actions(steps)
    return {
        "format": FORMAT,
        "installation": str(Installation.current().uid),
        "connector": {"uid": str(connector.uid), "name": connector.name},
        "mapping": {m.field: m.value for m in connector.mappings.order_by("field")},
        **freeze_columns_of(connector),
        "steps": [
            {
                "uid": str(step.uid),
                "name": step.name,
                "actions": [freeze_action(action) for action in actions[step.pk]],
            }
            for step in steps
        ],
    }


def freeze_columns_of(connector: Connector) -> Document:
    """The connector's own frozen columns, at their places in the document."""
    frozen: Document = {}
    for column, (*outer, name) in CONNECTOR_COLUMNS.items():
        part = frozen
        for key in outer:
            part = part.setdefault(key, {})
        part[name] = _plain(Connector._meta.get_field(column), connector)
    return frozen


def freeze_action(action: Action) -> Document:
    """One action as frozen; for a thawed one, what it was thawed from."""
    fields = own_fields(type(action))
    document = {
        "uid": str(action.uid),
        "kind": action.slug or action.kind,
        **{name: _plain(Action._meta.get_field(name), action) for name in ACTION_COLUMNS},
        "config": _freeze_columns(action, fields),
    }
    if any(field.is_relation for field in fields):
        document["refs"] = _freeze_refs(action, fields)
    if action.row_sets:
        document["rows"] = {name: _freeze_rows(action, name) for name in action.row_sets}
    return document


def _freeze_columns(instance: models.Model, fields: list[Any]) -> Document:
    return {f.name: _plain(f, instance) for f in fields if not f.is_relation}


def _plain(field: Any, instance: models.Model) -> Any:
    """A column's value as JSON; thawing reads it back with the field's own to_python."""
    value = getattr(instance, field.name)
    if isinstance(field, models.JSONField):
        return value
    value = field.to_python(value)
    return value if isinstance(value, str | int | float | None) else field.value_to_string(instance)


def _freeze_refs(instance: models.Model, fields: list[Any]) -> Document:
    frozen = getattr(instance, "frozen", None)
    if frozen is not None:
        refs: Document = frozen.get("refs", {})
        return {f.name: refs.get(f.name) for f in fields if f.is_relation}
    targets = {f.name: getattr(instance, f.name, None) for f in fields if f.is_relation}
    return {
        name: {"id": target.pk, "name": str(target)} if target else None
        for name, target in targets.items()
    }


def _freeze_rows(action: Action, accessor: str) -> list[Document]:
    if action.frozen is not None:
        rows: list[Document] = action.frozen.get("rows", {}).get(accessor, [])
        return rows
    stored = getattr(action, accessor).all() if action.pk else []
    return [freeze_row(row) for row in stored]


def freeze_row(row: models.Model) -> Document:
    """One row of an action's own table."""
    fields = row_fields(type(row))
    return {"config": _freeze_columns(row, fields), "refs": _freeze_refs(row, fields)}


# --- thaw -----------------------------------------------------------------------------------------


class _Detached:
    """Stands where a thawed action's foreign keys were: they would lead to the edited draft."""

    def __getattr__(self, name: str) -> Any:
        raise TypeError("A thawed action has no relations: read them through run.ref().")

    def __str__(self) -> str:
        raise TypeError("A thawed action has no relations: read them through run.ref().")


def thaw_action(document: Document) -> Action:
    """A read-only instance of the kind, never saved, shared by all runs. UnknownKind when this
    installation does not have it; a column that the document lacks has its default."""
    kind = registry.kind_of(document["kind"])
    columns = {f.name: f for f in own_fields(kind)}
    common = {name: Action._meta.get_field(name) for name in ACTION_COLUMNS}
    action = kind(
        uid=document["uid"],
        kind=document["kind"],
        **_thaw_columns(document, common),
        **_thaw_columns(document["config"], columns),
    )
    for field in (Action._meta.get_field("step"), *columns.values()):
        if field.is_relation:
            action._state.fields_cache[field.name] = _Detached()
    action.frozen = document
    return action


def _thaw_columns(values: Document, fields: dict[str, Any]) -> Document:
    return {name: fields[name].to_python(v) for name, v in values.items() if name in fields}


def frozen_ref(action: Action | FrozenRow, name: str) -> tuple[type[models.Model], Any]:
    """The model that a reference points to, and its frozen {"id", "name"} or None."""
    model = type(action) if isinstance(action, Action) else action.model
    related: Any = model._meta.get_field(name).related_model
    return related, _document(action).get("refs", {}).get(name)


def frozen_rows(action: Action, name: str) -> list[FrozenRow]:
    """The rows of one of the action's `row_sets`, as frozen."""
    model = row_model(type(action), name)
    documents = _document(action).get("rows", {}).get(name, [])
    return [FrozenRow(model, document["config"], document) for document in documents]


def _document(action: Action | FrozenRow) -> Document:
    if action.frozen is None:
        raise TypeError("Only a thawed action is performed: freeze and thaw it first.")
    return action.frozen
