"""Notification: queue a message for one or several numbers."""

from typing import Any

from django.db import models

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.reach import CHANNEL, RECIPIENT, Reach, referred
from apps.connectors.registry import register
from apps.core.fields import Column, RowsField, TemplateField
from apps.messaging import gate
from apps.messaging.models import Channel


@register
class SendMessage(Action):
    """Send WhatsApp Message"""

    slug, title, category, icon = "send_message", "Send Message", "Notification", "chat"
    gives, given = "send", ["verdict", "recipients"]
    editor = ["channel", "recipients", "text"]

    channel = models.ForeignKey(
        Channel,
        verbose_name="application",
        null=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="The channel that the message is sent from.",
    )
    recipients = RowsField(
        "to",
        columns=[
            Column(
                "to",
                "Number",
                attributes=True,
                placeholder="{{ contact.phone }} or +4915112345678",
            )
        ],
        add_label="Add Mobile Number",
        blank=False,
        help_text="With country code. Where the event's number has none, type it in front of the "
        "attribute.",
    )
    text = TemplateField("message")

    def summary(self) -> str:
        to = ", ".join(row.get("to", "") for row in self.recipients)
        return f"To {to}: {' '.join(self.text.split())}" if to or self.text else ""

    def problems(self) -> list[str]:
        found = []
        if self.channel_id is None:
            found.append("Select the application that the message is sent from.")
        elif not self.channel.enabled:
            found.append(f'The channel "{self.channel}" is switched off.')
        if not self.recipients:
            found.append("Add at least one mobile number.")
        if not self.text.strip():
            found.append("Write the message.")
        return found

    @classmethod
    def reaches(
        cls, config: dict[str, Any], refs: dict[str, Any], rows: dict[str, Any]
    ) -> list[Reach]:
        recipients = [Reach(RECIPIENT, row["to"]) for row in config["recipients"]]
        return [*recipients, *referred(CHANNEL, refs["channel"])]

    def perform(self, run: Performing) -> Outcome:
        channel = run.ref(self, "channel")
        text = run.render("message", self.text)
        to = [run.render(f"to {n}", row["to"]) for n, row in enumerate(self.recipients, 1)]
        if channel is None or not to:
            return Failed("Select the application and add a mobile number.")
        if not text.strip():
            return Failed("The message is empty, so it was not sent.")
        results = run.send(channel, to, text)
        queued = [result for result in results if result.verdict == "send"]
        values = {
            "verdict": gate.worst([r.verdict for r in results]),
            "recipients": [
                {"to": r.address or r.to, "verdict": r.verdict, "reason": r.reason} for r in results
            ],
        }
        others = [result for result in results if result.verdict != "send"]
        refused = " ".join(f"{r.to.strip() or '(empty)'}: {r.reason}" for r in others)
        if not queued:
            return Failed(f"Nothing was queued. {refused}", values)
        note = f"Queued for {', '.join(r.address for r in queued)}"
        return Done(f"{note}. Not queued: {refused}" if refused else note, values)
