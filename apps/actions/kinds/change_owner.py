"""CRM: give the contact to another user."""

from typing import Any

from django.conf import settings
from django.db import models

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.core.fields import TemplateField
from apps.crm import services


@register
class ChangeOwner(Action):
    """You can change owner of a contact"""

    slug, title, category, icon = "change_owner", "Change Owner", "CRM", "supervisor_account"
    needs_contact = True

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name="new owner",
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="Chats that are assigned to somebody stay with them.",
    )
    email = TemplateField(
        "or by email address",
        blank=True,
        help_text="Of an active user, typed or from an attribute.",
    )

    def summary(self) -> str:
        return str(self.owner) if self.owner_id else self.email

    def problems(self) -> list[str]:
        if self.owner_id and self.email.strip():
            return ["Choose the new owner or fill in an email address, not both."]
        if self.owner_id:
            gone = f'The user "{self.owner}" is not active any more: choose another one.'
            return [] if self.owner.is_active else [gone]
        return [] if self.email.strip() else ["Choose the new owner or fill in an email address."]

    def perform(self, run: Performing) -> Outcome:
        user: Any = run.ref(self, "owner")
        if user is None:
            email = run.render("email address", self.email).strip()
            if not email:
                return Failed("The email address of the new owner is empty.")
            user = services.user_called(email)
            if user is None:
                return Failed(f'"{email[:60]}" is not the email address of one active user.')
        run.went_in("new owner", str(user))
        if not user.is_active:
            return Failed(f'The user "{user}" is not active any more: choose another one.')
        if run.contact is None or not services.change_owner(run.contact, user, **run.cause):
            return Done(f"{user} was the owner already")
        return Done(f"{user} is now the owner")
