"""Delay: cancel sleeping runs by identifier."""

from typing import Any

from django.db import models

from apps.connectors.models import Action, Connector, Performing
from apps.connectors.outcomes import Done, Outcome, Stop
from apps.connectors.reach import CONNECTOR, Reach, referred
from apps.connectors.registry import register
from apps.core.fields import TemplateField
from apps.engine import delays


@register
class CancelDelay(Action):
    """This helps to cancel delay which is setup in any connector"""

    slug, title, category, icon = "cancel_delay", "Cancel Delay", "Delay", "timer_off"
    row_sets = ["targets"]

    execution_type = models.CharField(
        "execution type",
        max_length=8,
        choices=[
            ("continue", "Continue Further Steps"),
            ("stop", "Stop Executing Further Steps"),
        ],
        default="continue",
        help_text="What this run does after the cancellation. The cancelled runs end.",
    )

    def summary(self) -> str:
        targets = self.targets.select_related("connector") if self.pk else []
        return ", ".join(f"{row.connector}: {row.identifier}" for row in targets)

    def problems(self) -> list[str]:
        if not (self.pk and self.targets.all()):
            return ["Add a connector and the identifier of the delay to cancel."]
        return []

    @classmethod
    def reaches(
        cls, config: dict[str, Any], refs: dict[str, Any], rows: dict[str, Any]
    ) -> list[Reach]:
        named = [row["refs"]["connector"] for row in rows["targets"]]
        return [each for ref in named for each in referred(CONNECTOR, ref, "delays are cancelled")]

    def touches_shared(self) -> bool:
        return True

    def perform(self, run: Performing) -> Outcome:
        count = 0
        for number, row in enumerate(run.rows(self, "targets"), 1):
            connector = run.ref(row, "connector")
            run.went_in(f"connector {number}", connector.name)
            identifier = run.render(f"identifier {number}", row.config["identifier"])
            note = f'Cancelled by run {run.cause["cause_id"]} ("{identifier.strip()}")'
            count += delays.cancel(connector.pk, identifier, note)
        values = {"count": count}
        note = f"{count} {'delay' if count == 1 else 'delays'} cancelled"
        return Stop(note, values) if self.execution_type == "stop" else Done(note, values)


class CancelDelayTarget(models.Model):
    """One pair of connector and identifier."""

    action = models.ForeignKey(CancelDelay, on_delete=models.CASCADE, related_name="targets")
    connector = models.ForeignKey(Connector, on_delete=models.RESTRICT, related_name="+")
    identifier = TemplateField(
        help_text="The same value that the delay was given, for example {{ event.meeting.id }}."
    )

    class Meta:
        verbose_name = "delay to cancel"
        verbose_name_plural = "delays to cancel"

    def __str__(self) -> str:
        return f"{self.connector}: {self.identifier}"
