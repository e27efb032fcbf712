"""CRM: say who the run is about."""

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.core.fields import TemplateField
from apps.crm.services import Identity, InvalidContact, identify


@register
class MapContact(Action):
    """Allows you to add or map contacts so that you can use contact specific actions in the
    steps"""

    slug, title, category, icon = "map_contact", "Map Contact", "CRM", "person_search"
    gives, given = "mapped", ["id", "created"]

    phone = TemplateField(
        "mobile number",
        blank=True,
        help_text="With country code; an attribute or typed.",
    )
    name = TemplateField(blank=True)
    email = TemplateField(blank=True)

    def summary(self) -> str:
        return self.phone or self.email

    def problems(self) -> list[str]:
        if not (self.phone or self.email):
            return ["Fill in the mobile number or the email address."]
        return []

    def perform(self, run: Performing) -> Outcome:
        phone, email = run.render("phone", self.phone), run.render("email", self.email)
        name = run.render("name", self.name)
        try:
            identity = Identity.read(phone, email)
        except InvalidContact as error:
            return Failed(str(error), contact=None)
        if identity is None:
            return Failed("The event has neither mobile number nor email address.", contact=None)
        contact, created = identify(identity, {"name": name}, **run.cause)
        note = "Contact created" if created else "Contact found"
        return Done(note, {"id": contact.pk, "created": created}, contact=contact)
