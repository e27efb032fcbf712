"""Automation: unblock an address."""

from apps.actions.listing import OnChannels, Reached, told
from apps.connectors.models import Performing
from apps.connectors.outcomes import Outcome
from apps.connectors.registry import register
from apps.messaging import lists


@register
class RemoveFromBlacklist(OnChannels):
    """Remove the number from blacklist"""

    slug, title, category = "remove_from_blacklist", "Remove From Blacklist", "Automation"
    icon = "remove_moderator"

    def perform(self, run: Performing) -> Outcome:
        reached = self.reached(run)
        if not isinstance(reached, Reached):
            return reached
        done, rest = reached.split(lists.remove_from_blacklist(reached.entries))
        return told([done], "Removed from the blacklist", [rest], "Not on the blacklist")
