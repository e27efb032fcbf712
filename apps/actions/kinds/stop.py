"""Automation: end the run on purpose."""

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Outcome, Stop
from apps.connectors.registry import register


@register
class StopRun(Action):
    """This will stop executing all further steps."""

    slug, title, category, icon = (
        "stop",
        "Stop Executing Further Steps",
        "Automation",
        "block",
    )
    writes = False
    has_on_error = False

    def perform(self, run: Performing) -> Outcome:
        return Stop("Stopped by this action")
