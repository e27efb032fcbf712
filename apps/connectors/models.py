"""Connectors: the draft that operators edit (Step, Action) and the frozen Revisions that run."""

import secrets
import uuid
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from apps.connectors.action import Action as Action
from apps.connectors.action import Performing as Performing
from apps.connectors.action import Shared as Shared
from apps.core import clock, liquid
from apps.core.fields import JsonText, TemplateField
from apps.core.models import Credential
from apps.crm.services import MAPPABLE


def new_token() -> str:
    """The secret part of a webhook's URL: 43 characters, 256 bits."""
    return secrets.token_urlsafe(32)


class ResponseType(models.TextChoices):
    """What a mapped response may be. Nothing that a browser runs or shows as a page: it would do so
    at the address of the back office."""

    JSON = "application/json", "JSON"
    TEXT = "text/plain", "Plain text"
    XML = "application/xml", "XML"

    @classmethod
    def of(cls, content_type: str) -> "ResponseType | None":
        """Which of these a content type means, as it was written before there was a choice."""
        name = content_type.partition(";")[0].strip().lower()
        if name == "" or name == cls.TEXT:
            return cls.TEXT
        if name.endswith(("/json", "+json")):
            return cls.JSON
        return cls.XML if name in (cls.XML, "text/xml") else None


class Connector(models.Model):
    """An automation: a private webhook URL and the steps that run for each event posted to it."""

    class Auth(models.TextChoices):
        NONE = "none", "Nothing else: the URL is the secret"
        HEADER = "header", "A key in a header"
        BASIC = "basic", "User name and password (Basic)"
        GITHUB = "github", "Signature of GitHub"
        STRIPE = "stripe", "Signature of Stripe"
        SHOPIFY = "shopify", "Signature of Shopify"
        STANDARD = "standard", "Signature of Standard Webhooks"
        META = "meta", "Signature of Meta"
        HMAC = "hmac", "Other signature (HMAC-SHA256)"

    class DedupeBy(models.TextChoices):
        NONE = "none", "Nothing: every post runs"
        HEADER = "header", "A header"
        PATH = "path", "A value of the event"
        BODY = "body", "The whole body"

    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    # Live: in force at once, without publishing.
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    enabled = models.BooleanField(
        default=True,
        help_text="Off: events are refused with 404. Runs that wait go on.",
    )
    capture = models.BooleanField(
        "capture samples",
        default=True,
        help_text="Before the first publication, keep what is posted as sample events.",
    )
    previous_token = models.CharField(max_length=64, unique=True, null=True, editable=False)
    previous_token_until = models.DateTimeField(null=True, editable=False)
    auth = models.CharField(
        "who posts must show",
        max_length=10,
        choices=Auth,
        default=Auth.NONE,
        help_text="What fails this check is refused with 401 and is not kept.",
    )
    credential = models.ForeignKey(
        Credential,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="The key, the password or the signing secret that the sender has, too.",
    )
    auth_header = models.CharField(
        "header of the key or signature",
        max_length=100,
        blank=True,
        help_text="For a key in a header, for example X-Api-Key, and for other signatures.",
    )
    auth_tolerance = models.PositiveIntegerField(
        "tolerance in seconds",
        default=300,
        validators=[MinValueValidator(1)],
        help_text="How far the timestamp of a signature (Stripe, Standard Webhooks) may be off.",
    )
    inbound_per_minute = models.PositiveIntegerField(
        "events a minute",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="More are refused with 429. Empty: the installation's limit.",
    )

    # Frozen: in force with the next publication.
    dedupe_by = models.CharField(
        "take each event once by",
        max_length=10,
        choices=DedupeBy,
        default=DedupeBy.NONE,
        help_text="A second post with the same value makes no second run.",
    )
    dedupe_header = models.CharField(
        max_length=100,
        blank=True,
        help_text="A request header that names each event once, for example X-Shopify-Event-Id.",
    )
    dedupe_path = models.CharField(
        max_length=200,
        blank=True,
        help_text="A value that names each event once, for example event.order.id.",
    )
    response_body = TemplateField(
        "mapped response",
        blank=True,
        help_text="What the caller gets instead of the event's id. May hold attributes of the "
        "event and of a contact that exists already.",
    )
    response_type = models.CharField(
        "response content type",
        max_length=100,
        choices=ResponseType,
        default=ResponseType.JSON,
    )
    in_order = models.BooleanField(
        "in order per contact",
        default=False,
        help_text="A run does nothing before the earlier runs of its contact (whom the field "
        "mapping finds) have ended, delays included. Runs without a contact keep no order.",
    )

    published = models.ForeignKey(
        "Revision",
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    # Counts changes of what intake reads, so that its cache can be checked in the same statement.
    version = models.IntegerField(default=0, editable=False)
    # Counts changes of the draft, so that a stale tab is told instead of overwriting.
    draft_version = models.IntegerField(default=0, editable=False)
    # The draft_version that was published: a list tells drafts with changes without comparing.
    published_draft = models.IntegerField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def hook_url(self) -> str:
        return f"{settings.HOOKS_URL}/hooks/{self.token}"

    def clean(self) -> None:
        errors = {**self.auth_errors(), **self._dedupe_errors()}
        if errors:
            raise ValidationError(errors)

    def auth_errors(self) -> dict[str, str]:
        """What is wrong with who may post, by column; a form refuses it, an import may bring it."""
        errors = {}
        if self.auth != self.Auth.NONE and self.credential is None:
            errors["credential"] = "Choose the credential that posts are checked with."
        elif self.auth == self.Auth.BASIC and self.credential and not self.credential.username:
            errors["credential"] = "This credential has no user name."
        self.auth_header = self.auth_header.strip()
        if self.auth in (self.Auth.HEADER, self.Auth.HMAC) and not self.auth_header:
            errors["auth_header"] = "Name the header."
        return errors

    def _dedupe_errors(self) -> dict[str, str]:
        self.dedupe_header = self.dedupe_header.strip()
        if self.dedupe_by == self.DedupeBy.HEADER and not self.dedupe_header:
            return {"dedupe_header": "Name the header."}
        if self.dedupe_by == self.DedupeBy.PATH:
            error = liquid.path_error(self.dedupe_path)
            return {"dedupe_path": error} if error else {}
        return {}


class FieldMapping(models.Model):
    """Which part of the event fills a field of the contact."""

    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="mappings")
    field = models.CharField(max_length=20, choices=list(MAPPABLE.items()))
    value = TemplateField(help_text="For example {{ event.customer.phone }}.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connector", "field"],
                name="connectors_mapping_field",
                violation_error_message="This field is mapped already.",
            )
        ]

    def __str__(self) -> str:
        return self.get_field_display()


class Revision(models.Model):
    """A published state of a connector, numbered and never changed."""

    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    document = JsonText(editable=False)
    # What each action's line said when it was published, by the action's uid: for pages about runs
    # of this revision. Not in the document, which is only what runs.
    summaries = JsonText(default=dict, db_default={}, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["connector", "number"], name="connectors_revision_number"
            )
        ]

    def __str__(self) -> str:
        return f"Revision {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("A revision is never changed: publish a new one.")
        super().save(*args, **kwargs)


class Step(models.Model):
    """One ordered list of actions. Filters and delays stand in that same list."""

    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="steps")
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    position = models.PositiveIntegerField(default=0, editable=False)
    name = models.CharField("step name", max_length=100)

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.name


def check_step_limit(connector: Connector) -> None:
    """Refuse one step more than the limit (product.md: 50)."""
    if connector.steps.count() >= settings.MAX_STEPS:
        raise ValidationError(f"A connector can have up to {settings.MAX_STEPS} steps.")
