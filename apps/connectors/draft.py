"""Editing a draft: its steps, their order, their actions.

Every change raises `Connector.draft_version`. Whoever edits from a page names the version that the
page showed; when another change came in between, StaleDraft is raised and nothing is written.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Case, F, Max, Value, When

from apps.connectors import registry
from apps.connectors.models import Action, Connector, Step, check_step_limit

Layout = dict[int, list[int]]


class StaleDraft(ValueError):
    """Somebody else has changed the draft since the page was opened."""

    def __init__(self) -> None:
        super().__init__("This flow was changed in another tab or by somebody else.")


class WrongOrder(ValueError):
    """An order that doesn't name exactly what there is."""

    def __init__(self) -> None:
        super().__init__("This order doesn't match the flow. Nothing was changed.")


def bump(connector_id: int) -> None:
    """The draft was changed by a form that stands for itself."""
    Connector.objects.filter(pk=connector_id).update(draft_version=F("draft_version") + 1)


def claim(connector: Connector, version: int) -> None:
    """Raise the version if it is still `version`: the lock that serialises edits."""
    current = Connector.objects.filter(pk=connector.pk, draft_version=version)
    if not current.update(draft_version=version + 1):
        raise StaleDraft
    connector.draft_version = version + 1


def end_of(rows: "models.QuerySet[Any]") -> int:
    """The position after the last of `rows`."""
    last: int | None = rows.aggregate(last=Max("position"))["last"]
    return 0 if last is None else last + 1


def step_name(name: str) -> str:
    """As it is kept; ValidationError when it can't be."""
    name = " ".join(name.split())
    if not name:
        raise ValidationError("Give the step a name.")
    if len(name) > 100:
        raise ValidationError("A step's name has up to 100 characters.")
    return name


@transaction.atomic
def add_step(connector: Connector, name: str, version: int) -> Step:
    """A new step at the end; ValidationError beyond the limit."""
    claim(connector, version)
    check_step_limit(connector)
    return connector.steps.create(name=step_name(name), position=end_of(connector.steps.all()))


@transaction.atomic
def rename_step(connector: Connector, step: Step, name: str, version: int) -> None:
    claim(connector, version)
    connector.steps.filter(pk=step.pk).update(name=step_name(name))


@transaction.atomic
def delete_step(connector: Connector, step: Step, version: int) -> None:
    """Delete the step with its actions."""
    claim(connector, version)
    step.delete()


@transaction.atomic
def switch_action(connector: Connector, action: Action, enabled: bool, version: int) -> None:
    claim(connector, version)
    Action.objects.filter(pk=action.pk).update(enabled=enabled)


@transaction.atomic
def delete_action(connector: Connector, action: Action, version: int) -> None:
    claim(connector, version)
    try:
        # As its own kind: one query for its table instead of one for each kind's.
        registry.kind_of(action.kind)._default_manager.get(pk=action.pk).delete()
    except registry.UnknownKind:
        action.delete()


@transaction.atomic
def order_steps(connector: Connector, ids: list[int], version: int) -> None:
    """Put the steps into the order of `ids`, which must be exactly the connector's steps."""
    claim(connector, version)
    if sorted(ids) != sorted(connector.steps.values_list("pk", flat=True)):
        raise WrongOrder
    connector.steps.update(position=_case({pk: place for place, pk in enumerate(ids)}))


@transaction.atomic
def order_actions(connector: Connector, layout: Layout, version: int) -> None:
    """Put actions into the order of `layout` (step → actions), which must name exactly the actions
    of those steps. An action may change from one of them to another."""
    claim(connector, version)
    steps = connector.steps.filter(pk__in=layout)
    ids = [pk for listed in layout.values() for pk in listed]
    present = Action.objects.filter(step__in=steps).values_list("pk", flat=True)
    if steps.count() != len(layout) or sorted(ids) != sorted(present):
        raise WrongOrder
    if not ids:
        return
    places = {pk: place for listed in layout.values() for place, pk in enumerate(listed)}
    homes = {pk: step for step, listed in layout.items() for pk in listed}
    Action.objects.filter(pk__in=ids).update(position=_case(places), step_id=_case(homes))


def _case(values: dict[int, int]) -> Any:
    """One expression that gives each row its value."""
    whens = [When(pk=pk, then=Value(value)) for pk, value in values.items()]
    return Case(*whens, output_field=models.BigIntegerField())
