"""Flow: hold the run for a while, or until a date from the event."""

from datetime import datetime

from django.core.validators import MaxValueValidator
from django.db import models

from apps.actions.moments import UNITS, UnreadableMoment, is_moment, read_moment, shift
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome, Skip, Wait
from apps.connectors.registry import register
from apps.core import liquid
from apps.core.fields import TemplateField
from apps.core.readable import moment

LAST, EVENT, CUSTOM = "last_step", "event", "custom"
BEFORE, ON, AFTER = "before", "on", "after"
INVALID_DATE = "Invalid date for delay"


@register
class Delay(Action):
    """Hold the run for some minutes, hours or days, or until a date that the event brings. Later
    steps wait too."""

    slug, title, category, icon = "delay", "Delay", "Flow", "hourglass_top"
    writes = False
    has_on_error = False
    guards_step = True
    editor = [
        "counts_from",
        "direction",
        "amount",
        "unit",
        "date",
        "if_past",
        "identifier",
    ]
    shows_when = {
        "direction": ("counts_from", [CUSTOM]),
        "date": ("counts_from", [CUSTOM]),
        "if_past": ("counts_from", [CUSTOM]),
    }

    counts_from = models.CharField(
        "delay from",
        max_length=10,
        choices=[
            (LAST, "Last Step Executed Time"),
            (EVENT, "Event Received Time"),
            (CUSTOM, "Custom Delay"),
        ],
        default=LAST,
    )
    direction = models.CharField(
        max_length=6,
        choices=[(BEFORE, "Before"), (ON, "On"), (AFTER, "After")],
        default=AFTER,
        help_text="Before, on or after the date.",
    )
    amount = models.PositiveIntegerField(
        default=1,
        validators=[MaxValueValidator(1_000_000)],
        help_text="How many minutes, hours or days; not used with On.",
    )
    unit = models.CharField(max_length=7, choices=UNITS, default="hours")
    date = TemplateField(
        "specified date",
        blank=True,
        help_text="An attribute of the event, as ISO date & time or timestamp. A date without a "
        "time counts as 12 am in the account's timezone: add hours to avoid midnight.",
    )
    if_past = models.CharField(
        "when the date is past already",
        max_length=4,
        choices=[("skip", "Skip the rest of the step"), ("run", "Run at once")],
        default="skip",
    )
    identifier = TemplateField(
        blank=True,
        help_text="What Cancel Delay finds it by: a unique value such as a meeting id or "
        "reference id.",
    )

    def summary(self) -> str:
        amount = f"{self.amount} {self.unit if self.amount != 1 else self.unit[:-1]}"
        if self.counts_from != CUSTOM:
            return f"{amount} after {self.get_counts_from_display().lower()}"
        if self.direction == ON:
            return f"Until {self.date}"
        return f"Until {amount} {self.direction} {self.date}"

    def problems(self) -> list[str]:
        if self.counts_from != CUSTOM:
            return []
        if not self.date.strip():
            return ["Fill in the date that the delay is counted from."]
        if liquid.has_attributes(self.date) or is_moment(self.date):
            return []
        return [f'"{self.date}" is neither an ISO date & time nor a timestamp.']

    def perform(self, run: Performing) -> Outcome:
        identifier = run.render("identifier", self.identifier)
        try:
            until = self._until(run)
        except (UnreadableMoment, OverflowError):
            return Failed(INVALID_DATE, rest_of_step=True)
        run.went_in("until", until.isoformat())
        if until > run.now:
            return Wait(until, identifier, f"Waiting until {moment(until)}")
        if self.counts_from != CUSTOM:
            return Done("The time had passed already")
        if self.if_past == "run":
            return Done(f"{moment(until)} is past: run at once")
        return Skip(
            f"{moment(until)} is past: the rest of the step is skipped",
            rest_of_step=True,
        )

    def _until(self, run: Performing) -> datetime:
        if self.counts_from == LAST:
            return shift(run.last_executed_at, self.amount, self.unit)
        if self.counts_from == EVENT:
            return shift(run.received_at, self.amount, self.unit)
        value = run.value(self.date) if liquid.has_attributes(self.date) else self.date
        run.went_in("date", value)
        date = read_moment("" if value is None else value)
        sign = {BEFORE: -1, ON: 0, AFTER: 1}[self.direction]
        return shift(date, sign * self.amount, self.unit)
