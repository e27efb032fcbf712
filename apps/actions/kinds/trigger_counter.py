"""Counter: count up, count down, or set a value."""

from django.db import models

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome, Skip
from apps.connectors.registry import register
from apps.core import liquid
from apps.core.fields import TemplateField
from apps.datastore import counters
from apps.datastore.models import Counter

INCREASE, DECREASE, SET = "increase", "decrease", "set"


@register
class TriggerCounter(Action):
    """Setting the Counter Value by a number specified"""

    slug, title, category, icon = "trigger_counter", "Trigger Counter", "Counter", "plus_one"
    gives, given = "counter", ["value"]

    counter = models.ForeignKey(Counter, null=True, on_delete=models.RESTRICT, related_name="+")
    operation = models.CharField(
        max_length=8,
        choices=[(INCREASE, "Increase by"), (DECREASE, "Decrease by"), (SET, "Set to")],
        default=INCREASE,
        help_text="Set to goes no further than the counter's maximum and triggers no reset.",
    )
    amount = TemplateField(
        default="1", help_text="A whole number, typed or from an attribute: {{ event.quantity }}."
    )

    def summary(self) -> str:
        if self.counter is None:
            return ""
        return f"{self.counter}: {self.get_operation_display()} {' '.join(self.amount.split())}"

    def problems(self) -> list[str]:
        found = [] if self.counter_id else ["Choose a counter."]
        if not self.amount.strip():
            found.append("Fill in the amount.")
        elif not liquid.has_attributes(self.amount):
            try:
                counters.read_amount(self.amount)
            except counters.BadAmount as error:
                found.append(str(error))
        return found

    def touches_shared(self) -> bool:
        return True

    def perform(self, run: Performing) -> Outcome:
        counter: Counter | None = run.ref(self, "counter")
        if counter is None:
            return Failed("Choose a counter and publish.")
        run.went_in("counter", counter.name)
        typed = run.render("amount", self.amount)
        if counter.is_per_contact and run.contact is None:
            return Skip("No contact mapped")
        try:
            amount = counters.read_amount(typed)
        except counters.BadAmount as error:
            return Failed(str(error))
        if self.operation == SET:
            value = counters.set_to(counter, amount, run.contact)
        else:
            signed = -amount if self.operation == DECREASE else amount
            value = counters.add(counter, signed, run.contact)
        return Done(f"{counter} is now {value:,}", {"value": value})
