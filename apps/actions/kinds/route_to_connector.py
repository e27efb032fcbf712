"""Notification: hand the event to another connector."""

from typing import Any

from django.db import models

from apps.connectors.models import Action, Connector, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.reach import CONNECTOR, Reach, referred
from apps.connectors.registry import register
from apps.engine import routing


@register
class RouteToConnector(Action):
    """This helps to route the requests to another connector for performing more complex filters
    and actions"""

    slug, title, category, icon = (
        "route_to_connector",
        "Route to Another Connector",
        "Notification",
        "alt_route",
    )

    connector = models.ForeignKey(
        Connector,
        null=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="Always route to a new connector whose URL is not configured in a third-party "
        "platform, and not to one which the data structure is different. Make sure that it does "
        "not route back here: such a loop is stopped after 10 rotations.",
    )

    def summary(self) -> str:
        return f"To {self.connector}" if self.connector_id else ""

    def problems(self) -> list[str]:
        return [] if self.connector_id else ["Choose the connector to route to."]

    @classmethod
    def reaches(
        cls, config: dict[str, Any], refs: dict[str, Any], rows: dict[str, Any]
    ) -> list[Reach]:
        return referred(CONNECTOR, refs["connector"], "gets the event")

    def perform(self, run: Performing) -> Outcome:
        target = run.ref(self, "connector")
        if target is None:
            return Failed("Choose the connector to route to and publish.")
        run.went_in("connector", target.name)
        try:
            routed = routing.route(run.cause["cause_id"], target, run.contact)
        except routing.NotRoutable as error:
            return Failed(str(error))
        values = {"run_id": routed.run_id}
        if routed.stopped:
            return Failed(routed.stopped, values)
        return Done(f"Routed to {target}", values)
