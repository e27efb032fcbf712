"""Attributes: empty a value of the contact."""

from apps.actions.fields import ATTRIBUTE, ContactField, clear_value
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.crm.attributes import BadValue


@register
class ClearAttribute(Action, ContactField):
    """Clear the value saved against the field"""

    slug, title, category, icon = "clear_attribute", "Clear Attribute", "Attributes", "backspace"
    needs_contact = True
    editor = ["field", "attribute"]
    shows_when = {"attribute": ("field", [ATTRIBUTE])}

    def summary(self) -> str:
        return self.field_name()

    def problems(self) -> list[str]:
        return self.field_problems()

    def perform(self, run: Performing) -> Outcome:
        chosen = self.chosen(run)
        if run.contact is None or chosen is None:
            return Failed("Choose an attribute and publish.")
        name = self.get_field_display() if isinstance(chosen, str) else chosen
        try:
            cleared = clear_value(run.contact, chosen, run)
        except BadValue as error:
            return Failed(str(error))
        return Done(f"{name} {'was cleared' if cleared else 'was empty'}", contact=run.contact)
