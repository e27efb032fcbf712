"""Automation: put an address on opt-out lists."""

from functools import partial

from django.db import models

from apps.actions.listing import ListRow, OnLists
from apps.connectors.models import Performing
from apps.connectors.outcomes import Outcome
from apps.connectors.registry import register
from apps.messaging import lists


@register
class AddToOptout(OnLists):
    """Add the contact to one or many opt out list"""

    slug, title, category = "add_to_optout", "Add to Optout List", "Automation"
    icon = "notifications_off"

    def perform(self, run: Performing) -> Outcome:
        add = partial(lists.add_to_optout, **run.cause)
        return self.change(run, add, "Opted out", "On the list already")


class AddToOptoutList(ListRow):
    action = models.ForeignKey(AddToOptout, on_delete=models.CASCADE, related_name="lists")

    class Meta(ListRow.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(fields=["action", "list"], name="actions_add_to_optout_list")
        ]
