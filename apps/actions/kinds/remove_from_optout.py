"""Automation: take an address off opt-out lists."""

from django.db import models

from apps.actions.listing import ListRow, OnLists
from apps.connectors.models import Performing
from apps.connectors.outcomes import Outcome
from apps.connectors.registry import register
from apps.messaging import lists


@register
class RemoveFromOptout(OnLists):
    """Remove the contact from one or many opt out list"""

    slug, title, category = "remove_from_optout", "Remove from Optout List", "Automation"
    icon = "notifications_active"

    def perform(self, run: Performing) -> Outcome:
        return self.change(run, lists.remove_from_optout, "Removed", "Not on the list")


class RemoveFromOptoutList(ListRow):
    action = models.ForeignKey(RemoveFromOptout, on_delete=models.CASCADE, related_name="lists")

    class Meta(ListRow.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(
                fields=["action", "list"], name="actions_remove_from_optout_list"
            )
        ]
