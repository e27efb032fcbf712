"""People: one contact per phone number or, without one, per email address (product.md 0.24)."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.text import slugify

from apps.core import clock
from apps.core.cause import Caused
from apps.core.fields import Column, RowsField


class Contact(models.Model):
    """A person. Channels are not part of who somebody is."""

    name = models.CharField(max_length=200, blank=True)
    phone = models.CharField(
        "mobile number",
        max_length=20,
        null=True,
        blank=True,
        unique=True,
        help_text="With country code, for example +4915112345678.",
    )
    email = models.EmailField(max_length=254, blank=True)
    timezone = models.CharField(max_length=64, blank=True)
    country = models.CharField(max_length=2, blank=True, help_text="Two letters, for example DE.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    last_interaction_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                condition=Q(phone__isnull=True) & ~Q(email=""),
                name="crm_contact_email_without_phone",
                violation_error_message="There is a contact with this email address already.",
            )
        ]
        indexes = [models.Index(Lower("email"), name="crm_contact_email", condition=~Q(email=""))]

    def __str__(self) -> str:
        return self.name or self.phone or self.email or f"Contact {self.pk}"


class Tag(models.Model):
    name = models.CharField(max_length=100)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="crm_tag_name",
                violation_error_message="There is a tag with this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class ContactTag(Caused):
    """One tag on one contact, and what put it there."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="tag_links")
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="contact_links")
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contact", "tag"], name="crm_contact_tag")]

    def __str__(self) -> str:
        return str(self.tag)


class Category(models.Model):
    """A group that contacts are sorted into; a contact can be in several."""

    name = models.CharField(max_length=100)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="crm_category_name",
                violation_error_message="There is a category with this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class ContactCategory(Caused):
    """One contact in one category, and what put it there."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="category_links")
    category = models.ForeignKey(Category, on_delete=models.CASCADE, related_name="contact_links")
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["contact", "category"], name="crm_contact_category")
        ]

    def __str__(self) -> str:
        return str(self.category)


class Attribute(models.Model):
    """A field of contacts that the operators made: `{{ attr.<key> }}` in text."""

    class Type(models.TextChoices):
        TEXT = "text", "Text"
        NUMBER = "number", "Numeric"
        DATE = "date", "Date"
        DATETIME = "datetime", "Date & Time"
        WEBSITE = "website", "Website"
        EMAIL = "email", "Email"
        CHOICE = "choice", "Choice"
        FILE = "file", "File"

    name = models.CharField(max_length=100, unique=True)
    key = models.CharField(
        max_length=60,
        unique=True,
        blank=True,
        validators=[
            RegexValidator(
                r"\A[a-z][a-z0-9_]*\Z",
                "Write it in small letters, digits and underscores, a letter first.",
            )
        ],
        help_text="How texts name it: {{ attr.key }}. Made from the name if empty; it never "
        "changes.",
    )
    type = models.CharField(
        max_length=10,
        choices=Type,
        default=Type.TEXT,
        help_text="Never changes, since values are kept by type. A file is kept as its URL.",
    )
    choices = RowsField(
        columns=[Column("choice", "Choice")],
        add_label="Add choice",
        help_text="What a value of type Choice may be.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def options(self) -> list[str]:
        """The choices as texts."""
        return [row["choice"] for row in self.choices]

    def clean(self) -> None:
        self.key = self.key or slugify(self.name).replace("-", "_").strip("_")[:60]
        if not self.key[:1].isalpha():
            raise ValidationError({"key": "Fill in the key: the name begins with no letter a-z."})
        if self.type == self.Type.CHOICE and not self.choices:
            raise ValidationError({"choices": "Add at least one choice."})


class AttributeValue(Caused):
    """What an attribute is for one contact, in the column of its type, so that it can be
    compared and sorted; and what set it."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="attribute_values")
    attribute = models.ForeignKey(Attribute, on_delete=models.CASCADE, related_name="values")
    text = models.TextField(null=True)
    number = models.DecimalField(null=True, max_digits=25, decimal_places=10)
    date = models.DateField(null=True)
    datetime = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "attribute"], name="crm_attribute_value_contact"
            )
        ]

    def __str__(self) -> str:
        return str(self.attribute)

    @property
    def value(self) -> Any:
        """The one that is filled; a number is whole where it can be."""
        if self.number is not None:
            whole = self.number == self.number.to_integral_value()
            return int(self.number) if whole else float(self.number)
        return next((v for v in (self.text, self.date, self.datetime) if v is not None), "")
