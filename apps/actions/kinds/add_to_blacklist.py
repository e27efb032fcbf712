"""Automation: block an address both ways."""

from apps.actions.listing import OnChannels, Reached, told
from apps.connectors.models import Performing
from apps.connectors.outcomes import Outcome
from apps.connectors.registry import register
from apps.messaging import lists


@register
class AddToBlacklist(OnChannels):
    """Blacklist the Contact"""

    slug, title, category, icon = "add_to_blacklist", "Add to Blacklist", "Automation", "block"

    def perform(self, run: Performing) -> Outcome:
        reached = self.reached(run)
        if not isinstance(reached, Reached):
            return reached
        done, rest = reached.split(lists.add_to_blacklist(reached.entries, **run.cause))
        return told([done], "Blacklisted", [rest], "On the blacklist already")
