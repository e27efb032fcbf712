"""CRM: take tags off the contact."""

from django.db import models

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Outcome
from apps.connectors.registry import register
from apps.core.fields import TemplateField
from apps.crm import services
from apps.crm.models import Tag


@register
class RemoveTag(Action):
    """A specific tag can be removed"""

    slug, title, category, icon = "remove_tag", "Remove Tag", "CRM", "label_off"
    needs_contact = True
    row_sets = ["tags"]

    tag_names = TemplateField(
        "tags by name",
        blank=True,
        help_text="Names separated by commas, typed or from attributes. A name that is no tag is "
        "passed over.",
    )

    def summary(self) -> str:
        picked = [str(row.tag) for row in self.tags.all()] if self.pk else []
        return ", ".join([*picked, *([self.tag_names] if self.tag_names else [])])

    def problems(self) -> list[str]:
        if not self.tag_names and not (self.pk and self.tags.all()):
            return ["Choose or type at least one tag."]
        return []

    def perform(self, run: Performing) -> Outcome:
        tags: list[Tag] = [run.ref(row, "tag") for row in run.rows(self, "tags")]
        typed = run.render("tags by name", self.tag_names)
        tags += services.tags_called(typed.split(","))
        names = ", ".join({tag.pk: tag.name for tag in tags}.values())
        if run.contact is None or not tags:
            return Done("No tag to remove")
        removed = services.remove_tags(run.contact, tags, **run.cause)
        return Done(f"Removed {names}" if removed else f"The contact did not have {names}")


class RemoveTagTag(models.Model):
    """A tag picked for the action. RESTRICT: a tag in use can't be deleted unseen."""

    action = models.ForeignKey(RemoveTag, on_delete=models.CASCADE, related_name="tags")
    tag = models.ForeignKey(Tag, on_delete=models.RESTRICT, related_name="+")

    class Meta:
        verbose_name = "tag"
        constraints = [
            models.UniqueConstraint(fields=["action", "tag"], name="actions_remove_tag_tag")
        ]

    def __str__(self) -> str:
        return str(self.tag)
