"""CRM: take the contact out of categories."""

from django.db import models

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Outcome
from apps.connectors.registry import register
from apps.core.fields import TemplateField
from apps.crm import services
from apps.crm.models import Category


@register
class RemoveCategory(Action):
    """A contact can be removed from the category"""

    slug, title, category, icon = "remove_category", "Remove From Category", "CRM", "folder_off"
    needs_contact = True
    row_sets = ["categories"]

    category_names = TemplateField(
        "categories by name",
        blank=True,
        help_text="Names separated by commas, typed or from attributes. A name that is no category "
        "is passed over.",
    )

    def summary(self) -> str:
        picked = [str(row.category) for row in self.categories.all()] if self.pk else []
        return ", ".join([*picked, *([self.category_names] if self.category_names else [])])

    def problems(self) -> list[str]:
        if not self.category_names and not (self.pk and self.categories.all()):
            return ["Choose or type at least one category."]
        return []

    def perform(self, run: Performing) -> Outcome:
        categories: list[Category] = [
            run.ref(row, "category") for row in run.rows(self, "categories")
        ]
        typed = run.render("categories by name", self.category_names)
        categories += services.categories_called(typed.split(","))
        names = ", ".join({category.pk: category.name for category in categories}.values())
        if run.contact is None or not categories:
            return Done("No category to remove from")
        removed = services.remove_categories(run.contact, categories, **run.cause)
        return Done(f"Removed from {names}" if removed else f"The contact was not in {names}")


class RemoveCategoryCategory(models.Model):
    """A category picked for the action. RESTRICT: a category in use can't be deleted unseen."""

    action = models.ForeignKey(RemoveCategory, on_delete=models.CASCADE, related_name="categories")
    category = models.ForeignKey(Category, on_delete=models.RESTRICT, related_name="+")

    class Meta:
        verbose_name = "category"
        constraints = [
            models.UniqueConstraint(
                fields=["action", "category"], name="actions_remove_category_category"
            )
        ]

    def __str__(self) -> str:
        return str(self.category)
