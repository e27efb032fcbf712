"""What happens: events come in, runs act on them, delays sleep, attempts tell the story.

No foreign-key constraint points at these tables, so that they can be pruned or partitioned.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Case, ExpressionWrapper, F, Q, Value, When
from django.utils.functional import cached_property

from apps.connectors.models import Connector, Revision
from apps.core import clock
from apps.core.cause import Caused
from apps.core.due import Due
from apps.core.fields import JsonText
from apps.engine import bodies
from apps.engine.crm_trigger import CrmTrigger as CrmTrigger
from apps.engine.ending import Ending as Ending

# The `line` of a run whose contact is still to be found.
UNKNOWN = 0
# Kinds of timeline entries behind which a run may be about somebody else.
LEAVES_CONTACT = ("field_mapping", "map_contact")
# A worker that lives writes down what it was answered within this time: no lane rests for longer.
ANSWERED = timedelta(seconds=20)


def loose_key(to: Any, **kwargs: Any) -> Any:
    """A foreign key for reading, without a constraint and without cascades."""
    return models.ForeignKey(
        to, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+", **kwargs
    )


class Event(models.Model):
    """Something posted to a connector, kept as it came."""

    class State(models.TextChoices):
        ACCEPTED = "accepted", "Accepted"
        SAMPLE = "sample", "Sample"
        REJECTED = "rejected", "Rejected"

    class Source(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"
        MANUAL = "manual", "Manual test"
        SCHEDULE = "schedule", "Schedule"
        CRM = "crm", "CRM change"

    connector = loose_key(Connector, db_index=False)
    source = models.CharField(max_length=20, choices=Source, default=Source.WEBHOOK)
    state = models.CharField(max_length=10, choices=State, default=State.ACCEPTED)
    received_at = models.DateTimeField(default=clock.now)
    content_type = models.CharField(max_length=200, blank=True)
    # The body in its own words; what is not text is kept in base64 (form "raw").
    form = models.CharField(max_length=10, default="json")
    body = models.TextField(blank=True)
    query = JsonText(default=dict)
    error = models.CharField(max_length=300, blank=True)
    # What made the house make this event; nothing for one that came from outside.
    cause = models.CharField(max_length=16, blank=True, default="", db_default="", editable=False)
    cause_id = models.BigIntegerField(null=True, blank=True, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["connector", "-id"], name="engine_event_connector"),
            models.Index(
                fields=["cause_id", "connector"],
                name="engine_event_cause",
                condition=Q(cause_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Event {self.pk}"

    @cached_property
    def payload(self) -> dict[str, Any]:
        """The event as steps read it: always an object."""
        return bodies.payload(self.form, self.body, self.content_type)


class DedupeKey(models.Model):
    """A value of the dedupe rule that was seen. Kept apart and with an expiry, so that events
    can be pruned without forgetting what must not run twice."""

    # Those of a deleted connector, maybe millions, expire like all others.
    connector = loose_key(Connector, db_index=False)
    key = models.CharField(max_length=300)
    event_id = models.BigIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connector", "key"], name="engine_dedupe")]

    def __str__(self) -> str:
        return self.key


class Run(Caused, Due):
    """One pass of one revision over one event."""

    class State(models.TextChoices):
        DUE = "due", "Due"
        LEASED = "leased", "Running"
        WAITING = "waiting", "Waiting"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    READY = State.DUE
    LEASED = State.LEASED
    # What a lost worker had not committed did not happen: the run goes on from its position.
    ON_EXPIRY = {State.LEASED: State.DUE}
    OPEN = (State.DUE, State.LEASED, State.WAITING)
    ENDED = (State.DONE, State.STOPPED, State.FAILED, State.CANCELLED)

    event = loose_key(Event)
    connector = loose_key(Connector, db_index=False)
    revision = loose_key(Revision, db_index=False)
    contact = loose_key("crm.Contact", null=True)
    state = models.CharField(max_length=10, choices=State, default=State.DUE)
    # Index into the revision's items: what is performed next.
    position = models.IntegerField(default=-1)
    # Raised by a deliberate repeat, so that its effects get keys of their own.
    passage = models.IntegerField("pass", default=1)
    # Claims without progress: 1 gets a run claimed alone, more end it as poison.
    attempts = models.IntegerField(default=0)
    # The queue that the run waits in, or was woken from, until it calls or moves; "try " or "dead "
    # in front is what it was told then (queues.py).
    queue = models.CharField(max_length=300, blank=True, default="", db_default="")
    # How often the installation refused this run alone while others passed (mending.py).
    troubles = models.IntegerField(default=0, db_default=0)
    # Failed tries of the action at `position` that it gets a retry for (*On error*: retry). More
    # than 0 means: a run that waits does so for a retry.
    tries = models.IntegerField(default=0, db_default=0)
    values = JsonText(default=dict)
    # Whose runs this one keeps order with (order.py): UNKNOWN, the id of a contact, or nobody's.
    line = models.BigIntegerField(null=True)
    # The connectors of the runs that led to this one (chains.py), the first one first.
    chain = JsonText(default=list, db_default=[])
    # The call of the action at `position` that was committed and whose outcome was not, yet: the
    # run waits for this one and no other.
    call = models.UUIDField(null=True, editable=False)
    error = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField(default=clock.now)
    last_executed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["connector", "wake_at"],
                name="engine_run_due",
                condition=Q(state="due"),
            ),
            models.Index(fields=["wake_at"], name="engine_run_next", condition=Q(state="due")),
            models.Index(
                fields=["attempts", "id"],
                name="engine_run_suspects",
                condition=Q(state="due", attempts__gt=0),
            ),
            models.Index(fields=["id"], name="engine_run_lease", condition=Q(state="leased")),
            models.Index(
                fields=["queue"],
                name="engine_run_woken",
                condition=Q(state="due") & ~Q(queue=""),
            ),
            models.Index(fields=["connector", "-id"], name="engine_run_connector"),
            models.Index(
                "connector",
                "line",
                ExpressionWrapper(Q(position__lt=0), output_field=models.BooleanField()),
                "id",
                name="engine_run_line",
                condition=Q(line__isnull=False, state__in=["due", "leased", "waiting"]),
            ),
        ]

    def __str__(self) -> str:
        return f"Run {self.pk}"

    @classmethod
    def when_run_out(cls) -> dict[str, Any]:
        """Its owner may live, have the answer in hand, and only not have been able to write it
        down. Who takes the run on too soon would call it unknown."""
        calls, later = When(call__isnull=False, then=Value(clock.now() + ANSWERED)), F("wake_at")
        return {"wake_at": Case(calls, default=later)}


class Delay(models.Model):
    """A run asleep. Nothing else of the run exists in any queue while it sleeps; waking is one
    statement that turns *waiting* into *fired*, so it needs no lease."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        FIRED = "fired", "Fired"
        CANCELLED = "cancelled", "Cancelled"

    run = loose_key(Run)
    connector = loose_key(Connector, db_index=False)
    # None: no action made the run sleep, it is held behind another one of its contact (order.py).
    action_uid = models.UUIDField(null=True)
    label = models.CharField(max_length=80)
    identifier = models.CharField(max_length=200, blank=True)
    # The queue that it ends with, instead of at its time (queues.py).
    queue = models.CharField(max_length=300, blank=True, default="", db_default="")
    wake_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    created_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["wake_at"],
                name="engine_delay_due",
                condition=Q(state="waiting"),
            ),
            models.Index(
                fields=["connector", "identifier"],
                name="engine_delay_cancel",
                condition=Q(state="waiting"),
            ),
            models.Index(
                fields=["run"],
                name="engine_delay_held",
                condition=Q(state="waiting", action_uid__isnull=True),
            ),
            models.Index(
                fields=["queue", "id"],
                name="engine_delay_queue",
                condition=Q(state="waiting") & ~Q(queue=""),
            ),
        ]

    def __str__(self) -> str:
        return f"Delay of run {self.run_id}"

    @property
    def holds(self) -> bool:
        """Whether it ends with another run instead of at its time."""
        return self.action_uid is None

    @property
    def waits_for(self) -> str:
        """In words, what a delay in a queue ends with; empty for all others."""
        return waits_for(self.queue)


def waits_for(queue: str) -> str:
    """In words, what those wait for who stand in a queue of that name; empty without a name."""
    _, _, host = queue.partition(" ")
    if host:
        return f"until {host} answers"
    return "for a free slot of the rate limit" if queue else ""


class Queue(models.Model):
    """What runs wait for together; there as long as somebody waits (queues.py)."""

    class Phase(models.TextChoices):
        CLOSED = "closed", "Closed"
        TRYING = "trying", "One tries"
        OPEN = "open", "Open"

    name = models.CharField(max_length=300, unique=True)
    phase = models.CharField(max_length=10, choices=Phase, default=Phase.CLOSED)
    wake_at = models.DateTimeField(db_index=True)
    # Delays up to this one are told that their host does not answer.
    dead_upto = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


def account_timezone() -> str:
    return settings.TIME_ZONE


class Schedule(models.Model):
    """Times at which a connector gets an event by itself (schedules.py)."""

    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="schedules")
    name = models.CharField(max_length=100)
    cron = models.CharField(
        "times",
        max_length=100,
        help_text="A cron expression: minute, hour, day of month, month, day of week. 0 9 * * 1-5 "
        "is 9 o'clock from Monday to Friday, */15 * * * * every quarter of an hour.",
    )
    timezone = models.CharField(
        max_length=64, default=account_timezone, help_text="Whose clock counts."
    )
    payload = models.TextField(
        "event (JSON)",
        blank=True,
        help_text="What the event holds, as a JSON object. It gets scheduled_at, schedule and "
        "missed besides.",
    )
    enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True, editable=False)
    # What became of the last time: its run, how many times before it were missed, or why not.
    last_at = models.DateTimeField(null=True, editable=False)
    last_run = loose_key(Run, null=True, editable=False, db_index=False)
    missed = models.IntegerField(default=0, editable=False)
    note = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(enabled=False) | Q(next_at__isnull=False),
                name="engine_schedule_wakes",
            )
        ]
        indexes = [
            models.Index(fields=["next_at"], name="engine_schedule_due", condition=Q(enabled=True)),
        ]

    def __str__(self) -> str:
        return self.name


class Attempt(models.Model):
    """One entry of a run's timeline: an action tried, with what went in and what came out."""

    class Result(models.TextChoices):
        DONE = "done", "Done"
        SKIPPED = "skipped", "Skipped"
        WAITING = "waiting", "Waiting"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"
        RETRYING = "retrying", "Failed, retry"
        CANCELLED = "cancelled", "Cancelled"

    run = loose_key(Run)
    passage = models.IntegerField(default=1)
    step_name = models.CharField(max_length=100, blank=True)
    action_uid = models.UUIDField(null=True)
    kind = models.CharField(max_length=40)
    label = models.CharField(max_length=80)
    result = models.CharField(max_length=10, choices=Result)
    note = models.CharField(max_length=500, blank=True)
    # Whom the run was about when it came to the action.
    contact = loose_key("crm.Contact", null=True, db_index=False)
    went_in = JsonText(default=dict)
    came_out = JsonText(default=dict)
    # Names of attributes that had no value.
    missing = JsonText(default=list)
    at = models.DateTimeField(default=clock.now)
    duration_us = models.IntegerField(default=0)

    class Meta:
        indexes = [
            # Runs that were about somebody, few as they are, for who erases the person.
            models.Index(
                fields=["contact"],
                name="engine_attempt_left",
                condition=Q(contact__isnull=False, kind__in=LEAVES_CONTACT),
            )
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.get_result_display()}"


class Call(models.Model):
    """A request to the outside: committed as *sending* before it leaves, settled afterwards. The
    log of an action's calls, in runs and by its *Test* button."""

    class State(models.TextChoices):
        SENDING = "sending", "Sending"
        ANSWERED = "answered", "Answered"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Outcome unknown"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The run that made it; none for a test.
    run = loose_key(Run, null=True, db_index=False)
    passage = models.IntegerField(default=1)
    action_uid = models.UUIDField()
    # The same for all tries of one part of an action in one pass of a run.
    idempotency_key = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State, default=State.SENDING)
    # What was asked and what came back, without secrets: {"method", "url", "headers", "body"} and
    # {"status", "reason", "headers", "body"}.
    request = JsonText(default=dict)
    response = JsonText(default=dict)
    error = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(default=clock.now)
    took_us = models.IntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["action_uid", "-at"], name="engine_call_action"),
            models.Index(fields=["at"], name="engine_call_at"),
            models.Index(fields=["run"], name="engine_call_open", condition=Q(state="sending")),
        ]

    def __str__(self) -> str:
        return f"{self.request.get('method', '')} {self.request.get('url', '')}".strip()
