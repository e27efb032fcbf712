"""Counter: back to the start."""

from django.db import models

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome, Skip
from apps.connectors.registry import register
from apps.datastore import counters
from apps.datastore.models import Counter


@register
class ResetCounter(Action):
    """Resetting the Counter existing value to its default value"""

    slug, title, category, icon = "reset_counter", "Reset Counter", "Counter", "restart_alt"
    gives, given = "counter", ["value"]

    counter = models.ForeignKey(
        Counter,
        null=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="One that counts for each contact is reset for the contact of the run.",
    )

    def summary(self) -> str:
        return str(self.counter or "")

    def problems(self) -> list[str]:
        return [] if self.counter_id else ["Choose a counter."]

    def touches_shared(self) -> bool:
        return True

    def perform(self, run: Performing) -> Outcome:
        counter: Counter | None = run.ref(self, "counter")
        if counter is None:
            return Failed("Choose a counter and publish.")
        run.went_in("counter", counter.name)
        if counter.is_per_contact and run.contact is None:
            return Skip("No contact mapped")
        was_counted = counters.reset(counter, run.contact)
        values = {"value": counter.starts}
        if was_counted:
            return Done(f"{counter} is back to {counter.starts:,}", values)
        return Done(f"{counter} stood at its start, {counter.starts:,}, already", values)
