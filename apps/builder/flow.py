"""What the flow page shows: a connector's draft as cards. The number of queries depends on the
kinds that are present, not on the number of steps or actions."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from apps.builder.http_api.views import structure_changes
from apps.builder.links import kind_url
from apps.connectors import registry
from apps.connectors.models import Action, Connector, Revision
from apps.connectors.publish import Problem, find_problems, has_unpublished_changes
from apps.engine.cancel import waiting_runs

OFF, DRAFT, CHANGED, LIVE = "off", "draft", "changed", "live"
STATES = {
    OFF: ("Off", "Events are refused. Runs that wait go on."),
    DRAFT: ("Never published", "Events are refused, but kept as samples while capture is on."),
    CHANGED: ("Unpublished changes", "Events run on the published revision."),
    LIVE: ("Live", "Events run on what you see here."),
}


@dataclass
class Card:
    """One action in the list of its step."""

    pk: int
    title: str
    kind_title: str
    icon: str
    summary: str
    enabled: bool
    edit_url: str
    problems: list[str]
    # Worth a look, but nothing that keeps the draft from being published.
    notices: list[str]


@dataclass
class StepCard:
    pk: int
    name: str
    cards: list[Card] = field(default_factory=list)


def state_of(connector: Connector, changed: bool) -> str:
    if not connector.enabled:
        return OFF
    if connector.published_id is None:
        return DRAFT
    return CHANGED if changed else LIVE


def step_cards(connector: Connector, problems: list[Problem]) -> list[StepCard]:
    by_action, noticed = _texts(problems), _texts(structure_changes(connector))
    steps = {step.pk: StepCard(step.pk, step.name) for step in connector.steps.all()}
    for action in Action.objects.filter(step__connector=connector):
        if action.step_id in steps:
            steps[action.step_id].cards.append(
                _card(action, by_action.get(action.pk, []), noticed.get(action.pk, []))
            )
    return list(steps.values())


def _texts(problems: list[Problem]) -> dict[int | None, list[str]]:
    by_action: dict[int | None, list[str]] = {}
    for problem in problems:
        by_action.setdefault(problem.action_id, []).append(problem.text)
    return by_action


def _card(action: Action, problems: list[str], notices: list[str]) -> Card:
    # An action of a kind that this installation lacks is listed, but has no form.
    kind = registry.kinds().get(action.kind, Action)
    title = kind.title or action.kind
    return Card(
        pk=action.pk,
        title=action.label or title,
        kind_title=title if action.label else "",
        icon=kind.icon,
        summary=action.summary_line,
        enabled=action.enabled,
        edit_url=kind_url(kind, "change", action.pk) if kind is not Action else "",
        problems=problems,
        notices=notices,
    )


def revisions(connector: Connector) -> QuerySet[Revision]:
    """Newest first, without the documents, which are long."""
    return connector.revisions.defer("document", "summaries").select_related("created_by")


def flow_context(connector: Connector) -> dict[str, Any]:
    """The parts that every edit changes: the bar and the list of steps."""
    problems = find_problems(connector)
    steps = step_cards(connector, problems)
    changed = has_unpublished_changes(connector)
    state = state_of(connector, changed)
    label, meaning = STATES[state]
    return {
        "connector": connector,
        "steps": steps,
        "problems": [
            {"problem": p, "link": f"#action-{p.action_id}" if p.action_id else ""}
            for p in problems
        ],
        "state": state,
        "state_label": label,
        "state_meaning": meaning,
        "changed": changed,
        "waiting": waiting_runs(connector.pk) if connector.published_id else 0,
        "max_steps": settings.MAX_STEPS,
    }
