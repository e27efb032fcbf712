"""Publishing: the draft becomes a numbered, immutable revision that events run on."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.signals import post_save
from django.dispatch import receiver

from apps.connectors.completing import completed
from apps.connectors.frozen import freeze, load_actions
from apps.connectors.models import Action, Connector, Revision, new_token
from apps.core import clock
from apps.core.models import Credential


@dataclass(frozen=True)
class Problem:
    """What keeps a draft from being published, and where; `action_id` is None for the connector."""

    text: str
    place: str
    action_id: int | None = None


class NotPublishable(ValueError):
    """The draft has problems; they are listed in `problems`."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.place}: {p.text}" for p in problems))
        self.problems = problems


def find_problems(connector: Connector) -> list[Problem]:
    """Everything that keeps the draft from being published; switched-off actions don't count."""
    steps = list(connector.steps.all())
    actions = load_actions(steps)
    found = [Problem(text, connector.name) for text in connector.auth_errors().values()]
    if not any(action.enabled for listed in actions.values() for action in listed):
        found.append(Problem("Add at least one action.", connector.name))
    for step in steps:
        for action in actions[step.pk]:
            if action.enabled:
                place = f"{step.name} › {action}"
                texts = action.unresolved or action.problems()
                found += [Problem(text, place, action.pk) for text in texts]
    return found


@transaction.atomic
def publish(connector: Connector, user: Any = None) -> Revision:
    """Freeze the draft and make it what events run on. Runs under way stay on their revision.
    Raises NotPublishable."""
    connector = Connector.objects.select_for_update().get(pk=connector.pk)
    problems = find_problems(connector)
    if problems:
        raise NotPublishable(problems)
    newest = connector.revisions.order_by("-number").first()
    revision = Revision.objects.create(
        connector=connector,
        number=newest.number + 1 if newest else 1,
        document=freeze(connector),
        summaries=_summaries(connector),
        created_by=user,
    )
    Connector.objects.filter(pk=connector.pk).update(
        published=revision, version=F("version") + 1, published_draft=F("draft_version")
    )
    return revision


def _summaries(connector: Connector) -> dict[str, str]:
    actions = Action.objects.filter(step__connector=connector)
    return {str(uid): line for uid, line in actions.values_list("uid", "summary_line")}


def has_unpublished_changes(connector: Connector) -> bool:
    """Whether the draft differs from what events run on. What was published before an option was
    there has its default."""
    published = connector.published
    return published is None or completed(published.document) != freeze(connector)


def is_unchanged_again(connector: Connector) -> None:
    """The draft was edited back to what was published: lists may call it live again."""
    same = Connector.objects.filter(pk=connector.pk, draft_version=connector.draft_version)
    same.update(published_draft=connector.draft_version)


def touch(connector_id: int) -> None:
    """Tell intake that something it reads of the connector has changed."""
    Connector.objects.filter(pk=connector_id).update(version=F("version") + 1)


@receiver(post_save, sender=Credential)
def touch_users(instance: Credential, **kwargs: Any) -> None:
    """Tell intake of every connector that checks posts with this credential."""
    Connector.objects.filter(credential=instance).update(version=F("version") + 1)


def generate_new_url(connector: Connector, overlap: timedelta | None = None) -> None:
    """*Generate New URL*: the old one is dead at once, or after `overlap`. One that was still
    good from an earlier time is dead in any case."""
    connector.previous_token = connector.token if overlap else None
    connector.previous_token_until = clock.now() + overlap if overlap else None
    connector.token = new_token()
    Connector.objects.filter(pk=connector.pk).update(
        token=connector.token,
        previous_token=connector.previous_token,
        previous_token_until=connector.previous_token_until,
        version=F("version") + 1,
    )
