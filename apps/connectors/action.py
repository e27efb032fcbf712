"""The base of all kinds of actions, and what a kind sees of the run that it performs in."""

import uuid
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from django.db import models
from django.utils.text import slugify

from apps.connectors.on_error import WhatOnError
from apps.connectors.reach import Reach
from apps.core.fields import JsonText

if TYPE_CHECKING:
    from apps.connectors.frozen import FrozenRow
    from apps.connectors.outcomes import Failed, Outcome
    from apps.crm.models import Contact
    from apps.messaging.models import Channel
    from apps.messaging.outbox import Queued


Shared = TypeVar("Shared")


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
    step = models.ForeignKey("connectors.Step", on_delete=models.CASCADE, related_name="actions")
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

    @classmethod
    def arrived(cls, config: dict[str, Any]) -> dict[str, Any]:
        """The frozen columns that a file holds, without what only somebody here can say."""
        return config

    @classmethod
    def reaches(
        cls, config: dict[str, Any], refs: dict[str, Any], rows: dict[str, Any]
    ) -> list[Reach]:
        """What it calls, writes to, uses and hands on to, read from its frozen form, for who is to
        accept a flow that others wrote. A test walks all kinds for columns that are not told."""
        return []

    def touches_shared(self) -> bool:
        """Whether performing writes rows that runs of other contacts write too (counters, tags
        made on the fly …): then the turn takes a lock, or grouped commits would deadlock."""
        return False

    def gave_up(self, run: Performing, failed: "Failed") -> None:
        """It has failed and is not retried (any more): a last word, such as an alert."""

    def perform(self, run: Performing) -> "Outcome":
        """Do it. Writes a handful of rows through services; reads references through `run`."""
        raise NotImplementedError(f"{type(self).__name__}.perform() must be overridden")
