"""CRM: delete the contact."""

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Outcome, Skip
from apps.connectors.registry import register
from apps.crm import erasing


@register
class DeleteContact(Action):
    """Delete the contact, with its tags, categories, attributes and notes"""

    slug, title, category, icon = "delete_contact", "Delete Contact", "CRM", "person_remove"
    needs_contact = True

    def perform(self, run: Performing) -> Outcome:
        if run.contact is None:
            return Skip("No contact mapped")
        erasing.delete_contact(run.contact, **run.cause)
        return Done("The contact was deleted", contact=None)
