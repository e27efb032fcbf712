"""What Set Attribute and Clear Attribute are about: one field of the contact."""

from django.db import models

from apps.connectors.models import Performing
from apps.crm import attributes
from apps.crm.models import Attribute, Contact

ATTRIBUTE = "attribute"


class ContactField(models.Model):
    """The columns that choose an attribute or one of the contact's own fields."""

    field = models.CharField(
        max_length=10,
        choices=[(ATTRIBUTE, "An attribute"), *attributes.SETTABLE.items()],
        default=ATTRIBUTE,
        help_text="The mobile number says who a contact is, so it is not offered.",
    )
    attribute = models.ForeignKey(
        Attribute, null=True, blank=True, on_delete=models.RESTRICT, related_name="+"
    )

    class Meta:
        abstract = True

    def field_name(self) -> str:
        """What the operator chose, for a draft row; empty when nothing is."""
        if self.field != ATTRIBUTE:
            return str(self.get_field_display())
        return str(self.attribute) if self.attribute_id else ""

    def field_problems(self) -> list[str]:
        return [] if self.field_name() else ["Choose an attribute."]

    def chosen(self, run: Performing) -> Attribute | str | None:
        """What is written while the run performs: an attribute, the name of a field of the
        contact, or None when nothing was chosen."""
        if self.field != ATTRIBUTE:
            return self.field
        attribute: Attribute | None = run.ref(self, "attribute")  # type: ignore[arg-type]
        return attribute


def set_value(contact: Contact, chosen: Attribute | str, raw: str, run: Performing) -> object:
    if isinstance(chosen, str):
        return attributes.set_field(contact, chosen, raw, **run.cause)
    return attributes.set_attribute(contact, chosen, raw, **run.cause)


def clear_value(contact: Contact, chosen: Attribute | str, run: Performing) -> bool:
    if isinstance(chosen, str):
        return attributes.clear_field(contact, chosen, **run.cause)
    return attributes.clear_attribute(contact, chosen, **run.cause)
