"""Counters: numbers that actions count up and down, one for the account or one for each contact."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from apps.core import clock, keys
from apps.crm.models import Contact

# As far as both databases and JSON count exactly. A value stays within it.
LARGEST = 10**15
_WITHIN = [MinValueValidator(-LARGEST), MaxValueValidator(LARGEST)]


class Counter(models.Model):
    """What is counted, and when it begins anew. The values stand in CounterValue; only
    `apps.datastore.counters` reads and writes them."""

    class Scope(models.TextChoices):
        ACCOUNT = "account", "One for the account"
        CONTACT = "contact", "One for each contact"

    class Unit(models.TextChoices):
        NEVER = "", "Never"
        HOUR = "hour", "Every hour"
        DAY = "day", "Every day"
        WEEK = "week", "Every week"
        MONTH = "month", "Every month"

    name = models.CharField(max_length=100)
    key = models.CharField(
        max_length=keys.LENGTH,
        unique=True,
        blank=True,
        validators=[keys.is_key],
        help_text="How texts name it: {{ counters.key }}. Made from the name if empty; it never "
        "changes.",
    )
    scope = models.CharField(
        "counts",
        max_length=10,
        choices=Scope,
        default=Scope.ACCOUNT,
        help_text="Never changes. One for each contact is counted for the contact of the run.",
    )
    starts = models.BigIntegerField(
        default=0,
        validators=_WITHIN,
        help_text="The value before anything was counted and after each reset.",
    )
    maximum = models.BigIntegerField(
        "maximum size",
        null=True,
        blank=True,
        validators=_WITHIN,
        help_text="It stops there. Empty: it goes on. A filter never sees more than this value.",
    )
    reset_at_maximum = models.BooleanField(
        "reset when reached maximum size",
        default=False,
        help_text="The first change after the maximum was reached begins at the start again.",
    )
    reset_unit = models.CharField(
        "automatically reset counter", max_length=10, choices=Unit, blank=True, default=Unit.NEVER
    )
    reset_every = models.PositiveIntegerField(
        "every how many",
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(999)],
        help_text="1: every hour, day, week or month; 3 months: each quarter.",
    )
    timezone = models.CharField(
        max_length=64,
        blank=True,
        help_text="Where hours, days, weeks (from Monday) and months begin. Empty: in the "
        "account's timezone.",
    )
    # How often all values were reset at once: a value of an earlier round counts no more.
    round = models.IntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="datastore_counter_name",
                violation_error_message="There is a counter with this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_per_contact(self) -> bool:
        return self.scope == self.Scope.CONTACT

    def clean(self) -> None:
        if self.maximum is None:
            self.reset_at_maximum = False
        elif self.starts is not None and self.maximum <= self.starts:
            raise ValidationError({"maximum": "The maximum must be greater than the start."})

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.key:
            made = keys.key_from(self.name) or keys.key_from(f"counter {self.name}")
            taken = set(Counter.objects.exclude(pk=self.pk).values_list("key", flat=True))
            self.key = keys.free_key(made, taken)
        super().save(*args, **kwargs)


class CounterValue(models.Model):
    """How far a counter has come; no row: it stands at its start. The value counts as long as its
    round is the counter's and it was changed in the present period (see counters.present)."""

    counter = models.ForeignKey(Counter, on_delete=models.CASCADE, related_name="values")
    contact = models.ForeignKey(Contact, null=True, on_delete=models.CASCADE, related_name="+")
    value = models.BigIntegerField()
    round = models.IntegerField(default=0)
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name = "counter value"
        constraints = [
            models.UniqueConstraint(
                fields=["counter", "contact"],
                condition=Q(contact__isnull=False),
                name="datastore_counter_of_contact",
            ),
            models.UniqueConstraint(
                fields=["counter"],
                condition=Q(contact__isnull=True),
                name="datastore_counter_of_account",
            ),
        ]
        indexes = [models.Index(fields=["counter", "-id"], name="datastore_counter_newest")]

    def __str__(self) -> str:
        return f"{self.counter}: {self.value}"
