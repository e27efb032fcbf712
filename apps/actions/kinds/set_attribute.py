"""Attributes: set a value of the contact."""

from apps.actions.fields import ATTRIBUTE, ContactField, set_value
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.core.fields import TemplateField
from apps.core.liquid import as_text
from apps.crm.attributes import BadValue


@register
class SetAttribute(Action, ContactField):
    """Set an Attribute Value of the Subscriber Field in the Social CRM"""

    slug, title, category, icon = "set_attribute", "Set Attribute", "Attributes", "edit_attributes"
    needs_contact = True
    editor = ["field", "attribute", "value"]
    shows_when = {"attribute": ("field", [ATTRIBUTE])}

    value = TemplateField(
        help_text="Read by the attribute's type: a number like 12.5, a date like 2026-03-31, one "
        "of the choices …"
    )

    def summary(self) -> str:
        name = self.field_name()
        return f"{name} = {' '.join(self.value.split())}" if name else ""

    def problems(self) -> list[str]:
        return self.field_problems() + ([] if self.value.strip() else ["Fill in the value."])

    def perform(self, run: Performing) -> Outcome:
        chosen = self.chosen(run)
        raw = run.render("value", self.value)
        if run.contact is None or chosen is None:
            return Failed("Choose an attribute and publish.")
        try:
            value = set_value(run.contact, chosen, raw, run)
        except BadValue as error:
            return Failed(str(error))
        name = self.get_field_display() if isinstance(chosen, str) else chosen
        return Done(f"{name} is now {as_text(value)}", contact=run.contact)
