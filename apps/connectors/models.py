"""Connectors: the draft that operators edit (Step, Action) and the frozen Revisions that run."""

import secrets
import uuid
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.text import slugify

from apps.connectors.on_error import WhatOnError
from apps.core import clock, liquid
from apps.core.fields import JsonText, TemplateField
from apps.core.models import Credential
from apps.crm.services import MAPPABLE

if TYPE_CHECKING:
    from apps.connectors.frozen import FrozenRow
    from apps.connectors.outcomes import Failed, Outcome
    from apps.crm.models import Contact
    from apps.messaging.models import Channel
    from apps.messaging.outbox import Queued


Shared = TypeVar("Shared")


def new_token() -> str:
    """The secret part of a webhook's URL: 43 characters, 256 bits."""
    return secrets.token_urlsafe(32)


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
        "response content type", max_length=100, default="application/json"
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
        return f"{settings.PUBLIC_URL}/hooks/{self.token}"

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


class Performing(Protocol):
    """What a kind sees of the run while it performs. Nothing else: no cursor, no queue."""

    @property
    def contact(self) -> "Contact | None": ...
    @property
    def now(self) -> datetime: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def last_executed_at(self) -> datetime: ...
    @property
    def cause(self) -> dict[str, Any]: ...
    @property
    def key(self) -> str:
        """Unique for this (run, pass, action): makes a repeated effect recognisable."""

    def render(self, name: str, text: str, place: str = "plain") -> str:
        """`text` with attributes filled in; kept under `name` in the timeline's *went in*."""

    def render_json(self, name: str, value: Any) -> Any:
        """A JSON value with its texts filled in leaf by leaf; kept as `render` does."""

    def value(self, path: str) -> Any:
        """The typed value of a Liquid path, None when it is missing."""

    def went_in(self, name: str, value: Any) -> None:
        """Keep something besides rendered text in the timeline's *went in*."""

    def ref(self, action: "Action | FrozenRow", name: str) -> Any:
        """The row that a foreign key pointed at when the plan was frozen, as it is now. One that
        is gone fails the action with its name."""

    def rows(self, action: "Action", name: str) -> "list[FrozenRow]": ...

    def once(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        """What `make` gives, made once and then shared by all runs that are performed together."""

    def send(self, channel: "Channel", recipients: list[str], text: str) -> "list[Queued]":
        """Queue a message through the one gate; see messaging.outbox.queue."""


class Action(WhatOnError):
    """One item of a step. Each kind is a multi-table child that adds its own columns.

    A kind declares what stands below as class attributes and writes `summary`, `problems` and
    `perform`. Its docstring is the help text of the palette and the first line of its docs.
    """

    # --- declared by each kind ---
    slug: ClassVar[str] = ""  # never changes: it is in every frozen plan
    title: ClassVar[str] = ""
    category: ClassVar[str] = ""
    icon: ClassVar[str] = "bolt"
    needs_contact: ClassVar[bool] = False
    # Performing writes rows: it gets a savepoint. A *pure* kind doesn't.
    writes: ClassVar[bool] = True
    has_on_error: ClassVar[bool] = True
    # The family under which `Done.values` are readable later: `send` gives {{ send.<key>.… }}.
    gives: ClassVar[str] = ""
    # Which values those are, for the forms of later actions: `verdict` in the example.
    given: ClassVar[list[str]] = []
    # Fields of the form, in order; by default the kind's own columns.
    editor: ClassVar[list[str]] = []
    # Which fields of the form show only for certain values of another: field → (other, values).
    shows_when: ClassVar[dict[str, tuple[str, list[str]]]] = {}
    # Tables of rows that belong to the action: accessor names; their foreign keys are RESTRICT.
    row_sets: ClassVar[list[str]] = []
    # The rest of the step must not run when this one could not be performed.
    guards_step: ClassVar[bool] = False

    # What a thawed action was frozen as; None for a draft row.
    frozen: "dict[str, Any] | None" = None

    # --- columns of every kind ---
    step = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="actions")
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    position = models.PositiveIntegerField(default=0, editable=False)
    kind = models.CharField(max_length=40, editable=False)
    key = models.CharField(max_length=80, editable=False)
    label = models.CharField(
        "name",
        max_length=80,
        blank=True,
        help_text="Your own name for it in the list of actions.",
    )
    summary_line = models.CharField(max_length=300, blank=True, editable=False)
    enabled = models.BooleanField(default=True)
    # Sentences about what an import or a restore did not find here. They keep the draft from being
    # published until somebody has opened and saved the action.
    unresolved = JsonText(default=list, editable=False)

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.label or self.title or self.kind

    @property
    def place(self) -> str:
        """Where it stands, for people: connector, step and name."""
        return f"{self.step.connector} › {self.step} › {self}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.frozen is not None:
            raise TypeError("A thawed action is read-only: edit the draft.")
        self.kind = self.slug or self.kind
        self.unresolved = []
        if not self.key:
            self.key = self._free_key()
        self.summary_line = self.summary()[:300]
        super().save(*args, **kwargs)

    def _free_key(self) -> str:
        base = slugify(self.label or self.title).replace("-", "_")[:60] or self.kind
        base = base if base[0].isalpha() else f"{self.kind}_{base}"
        taken = set(
            Action.objects.filter(step__connector=self.step.connector_id)
            .exclude(pk=self.pk)
            .values_list("key", flat=True)
        )
        key, count = base, 1
        while key in taken:
            count += 1
            key = f"{base}_{count}"
        return key

    def refresh_summary(self) -> None:
        """Store the summary line again, after the action's rows were saved."""
        self.summary_line = self.summary()[:300]
        Action.objects.filter(pk=self.pk).update(summary_line=self.summary_line)

    def summary(self) -> str:
        """One line for the list of actions; must survive an instance without any values."""
        return ""

    def problems(self) -> list[str]:
        """What keeps the draft from being published, in sentences; survives an empty instance."""
        return [] if self.slug else [f'This installation has no action kind "{self.kind}".']

    @classmethod
    def exported(cls, config: dict[str, Any]) -> dict[str, Any]:
        """The frozen columns as they may leave the installation: without secrets."""
        return config

    def touches_shared(self) -> bool:
        """Whether performing writes rows that runs of other contacts write too (counters, tags
        made on the fly …): then the turn takes a lock, or grouped commits would deadlock."""
        return False

    def gave_up(self, run: Performing, failed: "Failed") -> None:
        """It has failed and is not retried (any more): a last word, such as an alert."""

    def perform(self, run: Performing) -> "Outcome":
        """Do it. Writes a handful of rows through services; reads references through `run`."""
        raise NotImplementedError(f"{type(self).__name__}.perform() must be overridden")


def check_step_limit(connector: Connector) -> None:
    """Refuse one step more than the limit (product.md: 50)."""
    if connector.steps.count() >= settings.MAX_STEPS:
        raise ValidationError(f"A connector can have up to {settings.MAX_STEPS} steps.")
