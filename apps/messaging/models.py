"""Channels, the one table of messages (outbox and inbox), opt-out lists and the blacklist."""

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from apps.core import clock
from apps.core.cause import Caused
from apps.core.due import Due


class Application(models.TextChoices):
    """What a channel is, as product.md 0.11 names it."""

    WEB_AUTOMATION = "web_automation", "WhatsApp Web Automation"
    OFFICIAL = "official", "WhatsApp Official"
    SHARED = "shared", "WhatsApp Shared Number"
    EMAIL = "email", "Email"


class Driver(models.TextChoices):
    """What a channel speaks to."""

    SANDBOX = "sandbox", "Sandbox phone"


class Channel(models.Model):
    name = models.CharField(max_length=100, unique=True)
    application = models.CharField(
        max_length=20, choices=Application, default=Application.WEB_AUTOMATION
    )
    driver = models.CharField(max_length=20, choices=Driver, default=Driver.SANDBOX)
    address = models.CharField(
        "own number",
        max_length=254,
        blank=True,
        help_text="The number or email address that messages come from.",
    )
    enabled = models.BooleanField(
        default=True, help_text="Off: messages wait in the outbox until it is on again."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Message(Caused, Due):
    """One message, in either direction: the outbox and the inbox.

    An outgoing row is written in the transaction that decided to send it, before any request:
    queued → leased → sending (committed just before the request) → sent | refused | failed |
    unknown. `key` is the engine's; messaging only knows that it is unique.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        LEASED = "leased", "Being prepared"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Outcome unknown"
        CANCELLED = "cancelled", "Cancelled"
        RECEIVED = "received", "Received"

    READY = State.QUEUED
    LEASED = State.LEASED
    # A lost *leased* row was never handed over; a lost *sending* one may have been.
    ON_EXPIRY = {State.LEASED: State.QUEUED, State.SENDING: State.UNKNOWN}
    OPEN = (State.QUEUED, State.LEASED, State.SENDING)

    key = models.CharField(max_length=160, unique=True, null=True, editable=False)
    channel = models.ForeignKey(
        Channel, on_delete=models.RESTRICT, related_name="+", db_constraint=False
    )
    contact = models.ForeignKey(
        "crm.Contact",
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
    )
    address = models.CharField("to", max_length=254)
    text = models.TextField()
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    # How often its gateway asked to come again, or could not be reached.
    tries = models.IntegerField(default=0, db_default=0, editable=False)
    verdict = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    provider_id = models.CharField(max_length=160, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    settled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["wake_at"],
                name="messaging_outbox_due",
                condition=Q(state="queued"),
            ),
            models.Index(
                fields=["channel", "address", "id"],
                name="messaging_outbox_order",
                condition=Q(state__in=["queued", "leased", "sending"]),
            ),
            models.Index(
                fields=["id"],
                name="messaging_outbox_lease",
                condition=Q(state__in=["leased", "sending"]),
            ),
            models.Index(fields=["cause", "cause_id"], name="messaging_message_cause"),
            models.Index(fields=["contact", "-id"], name="messaging_message_contact"),
            models.Index(
                fields=["-id"],
                name="messaging_message_unknown",
                condition=Q(state="unknown"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.address}"


class OptOutList(models.Model):
    """Who does not want automated messages. The system's list blocks them all; a custom list
    blocks the broadcasts and sequences that name it."""

    name = models.CharField(max_length=100)
    is_system = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = "opt-out list"
        ordering = ["-is_system", "name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="messaging_optout_list_name",
                violation_error_message="There is a list with this name already.",
            ),
            models.UniqueConstraint(
                "is_system",
                condition=Q(is_system=True),
                name="messaging_one_system_list",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def delete(self, *args: object, **kwargs: object) -> tuple[int, dict[str, int]]:
        if self.is_system:
            raise ValidationError("The system's opt-out list can't be deleted.")
        return super().delete()


class OptOut(Caused):
    """One address on one list for one channel. It needs no contact and outlives it."""

    list = models.ForeignKey(OptOutList, on_delete=models.CASCADE, related_name="entries")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="+")
    address = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name = "opt-out"
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "address", "list"], name="messaging_optout_entry"
            )
        ]
        indexes = [
            models.Index(fields=["address"], name="messaging_optout_address"),
            models.Index(fields=["list", "-id"], name="messaging_optout_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.address} ({self.list})"


class BlacklistEntry(Caused):
    """An address that is blocked both ways on one channel."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="+")
    address = models.CharField(max_length=254)
    # How many messages from it came in and were dropped.
    dropped = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name_plural = "blacklist"
        constraints = [
            models.UniqueConstraint(fields=["channel", "address"], name="messaging_blacklist_entry")
        ]
        indexes = [models.Index(fields=["address"], name="messaging_blacklist_address")]

    def __str__(self) -> str:
        return self.address
