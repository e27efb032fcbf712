"""CRM: put the contact into categories."""

from django.db import models

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Outcome
from apps.connectors.registry import register
from apps.core.fields import TemplateField
from apps.crm import services
from apps.crm.models import Category


@register
class AddCategory(Action):
    """A contact can be added into one ore more categories"""

    slug, title, category, icon = "add_category", "Add Category", "CRM", "create_new_folder"
    needs_contact = True
    row_sets = ["categories"]

    new_categories = TemplateField(
        "categories by name",
        blank=True,
        help_text="Names separated by commas, typed or from attributes. A category that does not "
        "exist yet is created.",
    )

    def summary(self) -> str:
        picked = [str(row.category) for row in self.categories.all()] if self.pk else []
        return ", ".join([*picked, *([self.new_categories] if self.new_categories else [])])

    def problems(self) -> list[str]:
        if not self.new_categories and not (self.pk and self.categories.all()):
            return ["Choose or type at least one category."]
        return []

    def touches_shared(self) -> bool:
        return bool(self.new_categories)

    def perform(self, run: Performing) -> Outcome:
        categories: list[Category] = [
            run.ref(row, "category") for row in run.rows(self, "categories")
        ]
        typed = run.render("categories by name", self.new_categories)
        categories += [services.category_named(name) for name in typed.split(",") if name.strip()]
        unique = list({category.pk: category for category in categories}.values())
        run.went_in("categories", [category.name for category in unique])
        if run.contact is None or not unique:
            return Done("No category to add to")
        added = services.add_categories(run.contact, unique, **run.cause)
        names = ", ".join(category.name for category in unique)
        return Done(f"Added to {names}" if added else f"The contact was in {names} already")


class AddCategoryCategory(models.Model):
    """A category picked for the action. RESTRICT: a category in use can't be deleted unseen."""

    action = models.ForeignKey(AddCategory, on_delete=models.CASCADE, related_name="categories")
    category = models.ForeignKey(Category, on_delete=models.RESTRICT, related_name="+")

    class Meta:
        verbose_name = "category"
        constraints = [
            models.UniqueConstraint(
                fields=["action", "category"], name="actions_add_category_category"
            )
        ]

    def __str__(self) -> str:
        return str(self.category)
