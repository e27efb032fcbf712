"""CRM: put tags on the contact."""

from django.db import models

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Outcome
from apps.connectors.registry import register
from apps.core.fields import TemplateField
from apps.crm import services
from apps.crm.models import Tag


@register
class AddTag(Action):
    """A New tag will be added"""

    slug, title, category, icon = "add_tag", "Add Tag", "CRM", "sell"
    needs_contact = True
    row_sets = ["tags"]

    new_tags = TemplateField(
        "tags by name",
        blank=True,
        help_text="Names separated by commas, typed or from attributes. A tag that does not "
        "exist yet is created.",
    )

    def summary(self) -> str:
        picked = [str(row.tag) for row in self.tags.all()] if self.pk else []
        return ", ".join([*picked, *([self.new_tags] if self.new_tags else [])])

    def problems(self) -> list[str]:
        if not self.new_tags and not (self.pk and self.tags.all()):
            return ["Choose or type at least one tag."]
        return []

    def touches_shared(self) -> bool:
        return bool(self.new_tags)

    def perform(self, run: Performing) -> Outcome:
        tags: list[Tag] = [run.ref(row, "tag") for row in run.rows(self, "tags")]
        typed = run.render("tags by name", self.new_tags)
        tags += [services.tag_named(name) for name in typed.split(",") if name.strip()]
        unique = list({tag.pk: tag for tag in tags}.values())
        run.went_in("tags", [tag.name for tag in unique])
        if run.contact is None or not unique:
            return Done("No tag to add")
        added = services.add_tags(run.contact, unique, **run.cause)
        names = ", ".join(tag.name for tag in unique)
        return Done(f"Added {names}" if added else f"The contact had {names} already")


class AddTagTag(models.Model):
    """A tag picked for the action. RESTRICT: a tag in use can't be deleted unseen."""

    action = models.ForeignKey(AddTag, on_delete=models.CASCADE, related_name="tags")
    tag = models.ForeignKey(Tag, on_delete=models.RESTRICT, related_name="+")

    class Meta:
        verbose_name = "tag"
        constraints = [
            models.UniqueConstraint(fields=["action", "tag"], name="actions_add_tag_tag")
        ]

    def __str__(self) -> str:
        return str(self.tag)
