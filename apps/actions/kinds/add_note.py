"""CRM: write a note down about the contact."""

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.core.fields import TemplateField
from apps.crm import services


@register
class AddNote(Action):
    """Add a note against a contact"""

    slug, title, category, icon = "add_note", "Add Notes", "CRM", "note_add"
    needs_contact = True

    text = TemplateField("note", help_text="It stands on the contact's page, newest first.")

    def summary(self) -> str:
        return " ".join(self.text.split())

    def problems(self) -> list[str]:
        return [] if self.text.strip() else ["Write the note."]

    def perform(self, run: Performing) -> Outcome:
        text = run.render("note", self.text).strip()
        if run.contact is None or not text:
            return Failed("The note is empty, so it was not added.")
        if len(text) > services.NOTE_LENGTH:
            return Failed(f"The note is longer than {services.NOTE_LENGTH:,} characters.")
        author = f"Connector: {run.value('connector.name')}"
        services.add_note(run.contact, text, author, **run.cause)
        return Done("Note added")
