"""What earlier actions give to later ones: attributes to choose from, and samples to try out."""

from typing import Any

from apps.actions.http import answers
from apps.actions.http.mapping import HttpMapping
from apps.actions.kinds.find_row import FindRow
from apps.actions.kinds.http_api import HttpApi
from apps.builder.samples import LIMIT, Attribute, leaves
from apps.connectors.models import Action, Step
from apps.core.liquid import as_text


def http_samples(step: Step, before: Action | None) -> dict[str, dict[str, Any]]:
    """By key, what the HTTP API actions that stand before an action have answered; for a new
    action, which comes last in its step, `before` is None."""
    listed = HttpApi.objects.filter(step__connector=step.connector_id).select_related("step")
    uids = {action.uid: action.key for action in listed if _stands_before(action, step, before)}
    mappings = HttpMapping.objects.filter(action_uid__in=uids)
    found = {uids[mapping.action_uid]: answers.values(200, mapping.sample) for mapping in mappings}
    return {key: found.get(key, {"status": 200}) for key in uids.values()}


def _stands_before(action: Action, step: Step, other: Action | None) -> bool:
    here, there = (action.step.position, action.step_id), (step.position, step.pk)
    if here != there or other is None:
        return here <= there
    return (action.position, action.pk) < (other.position, other.pk)


def http_attributes(samples: dict[str, dict[str, Any]]) -> list[Attribute]:
    """Every value in them that a path reaches, but for the status, which stands among what all
    kinds give; at most LIMIT."""
    found = [
        Attribute(path, as_text(value)[:200])
        for key, values in samples.items()
        for path, value in leaves(f"http.{key}", values)
        if path != f"http.{key}.status"
    ]
    return found[:LIMIT]


def found_rows(step: Step, before: Action | None) -> list[Attribute]:
    """The columns of what the Find Row actions before an action read, with name and type."""
    finding = FindRow.objects.filter(step__connector=step.connector_id, table__isnull=False)
    listed = finding.select_related("step").prefetch_related("table__columns")
    return [
        Attribute(
            f"storage.{action.key}.row.{column.key}",
            f"{action.step} › {action} › {column.name} ({column.get_type_display()})",
        )
        for action in listed.order_by("step__position", "step", "position", "pk")
        if _stands_before(action, step, before)
        for column in action.table.columns.all()
    ]
