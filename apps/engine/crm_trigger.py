"""Which changes of contacts start a connector, as operators choose it (crm_changes.py)."""

from django.db import models

from apps.connectors.models import Connector
from apps.crm.models import Attribute, Category, Tag
from apps.crm.news import What
from apps.crm.services import MAPPABLE


class CrmTrigger(models.Model):
    """Changes of contacts that a connector gets events of."""

    ATTRIBUTE = "attribute"

    connector = models.ForeignKey(Connector, on_delete=models.CASCADE, related_name="crm_triggers")
    what = models.CharField("when", max_length=20, choices=What)
    tag = models.ForeignKey(
        Tag,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="Empty: whichever tag.",
    )
    category = models.ForeignKey(
        Category,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="Empty: whichever category.",
    )
    field = models.CharField(
        "what has changed",
        max_length=10,
        blank=True,
        choices=[("", "Anything"), *MAPPABLE.items(), (ATTRIBUTE, "An attribute")],
        help_text="Tags, categories and the owner are none of it: they have changes of their own.",
    )
    attribute = models.ForeignKey(
        Attribute, null=True, blank=True, on_delete=models.RESTRICT, related_name="+"
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = "CRM change"

    def __str__(self) -> str:
        about = self.tag or self.category or self.attribute or self.get_field_display()
        return (
            f"{self.get_what_display()}: {about}" if self.is_narrowed else self.get_what_display()
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether it means less than every change of its kind."""
        return bool(self.tag_id or self.category_id or self.field)

    @property
    def name_in_texts(self) -> str:
        """What has to have changed, as texts name it; empty for anything."""
        return f"attr.{self.attribute.key}" if self.attribute else self.field

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{self.connector} › CRM change"
