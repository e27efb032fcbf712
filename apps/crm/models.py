"""People: one contact per phone number or, without one, per email address (product.md 0.24)."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Concat, Length, Lower, Substr
from django.db.models.lookups import Exact, GreaterThanOrEqual, In
from django.utils.functional import cached_property

from apps.core import clock, keys
from apps.core.cause import Caused
from apps.core.fields import Column, JsonText, RowsField
from apps.core.jobs import Job, long_job


def _phone_is(start: str, length: int) -> Q:
    begins = Exact(Substr("phone", 1, len(start)), Value(start))
    return Q(begins) & Q(Exact(Length("phone"), Value(length)))


# The mobile number in its canonical spelling, as core.phone.canonical makes it.
_CANONICAL_NUMBER = Case(
    When(
        _phone_is("+55", 13) & Q(GreaterThanOrEqual(Substr("phone", 6, 1), Value("6"))),
        then=Concat(Substr("phone", 1, 5), Value("9"), Substr("phone", 6)),
    ),
    When(_phone_is("+521", 14), then=Concat(Value("+52"), Substr("phone", 5))),
    When(_phone_is("+54", 13), then=Concat(Value("+549"), Substr("phone", 4))),
    default=F("phone"),
)
_IN_A_COUNTRY_OF_SPELLINGS = Q(In(Substr("phone", 1, 3), ["+52", "+54", "+55"]))


class People(models.Manager["Contact"]):
    """The contacts that there are for people: without those that were merged into others or are
    being erased."""

    def get_queryset(self) -> QuerySet["Contact"]:
        return super().get_queryset().filter(merged_into=None, deleted_at=None)


class Contact(models.Model):
    """A person. Channels are not part of who somebody is.

    A contact that was merged into another one stays as a row, and keeps its number and address so
    that they lead to the other. One that was deleted has lost both, and goes slice by slice.
    """

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
    merged_into = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        editable=False,
    )
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = People()
    everyone: models.Manager["Contact"] = models.Manager()

    class Meta:
        # What leads to a contact by its id finds it whatever became of it.
        base_manager_name = "everyone"
        constraints = [
            models.UniqueConstraint(
                _CANONICAL_NUMBER,
                condition=_IN_A_COUNTRY_OF_SPELLINGS & Q(merged_into=None),
                name="crm_contact_spelling",
                violation_error_message="There is a contact with this mobile number already.",
            ),
            models.UniqueConstraint(
                Lower("email"),
                condition=Q(phone__isnull=True) & ~Q(email=""),
                name="crm_contact_email_without_phone",
                violation_error_message="There is a contact with this email address already.",
            ),
        ]
        indexes = [
            models.Index(Lower("email"), name="crm_contact_email", condition=~Q(email="")),
            models.Index(
                fields=["merged_into"],
                name="crm_contact_merged",
                condition=Q(merged_into__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.phone or self.email or f"Contact {self.pk}"

    @cached_property
    def ids(self) -> list[int]:
        """The ids under which this contact has a past: its own, and those of all contacts that
        were merged into it."""
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH RECURSIVE merged (id) AS (SELECT CAST(%s AS bigint) UNION SELECT c.id"
                " FROM crm_contact c JOIN merged ON c.merged_into_id = merged.id)"
                " SELECT id FROM merged ORDER BY id",
                [self.pk],
            )
            return [pk for (pk,) in cursor.fetchall()]


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
        max_length=keys.LENGTH,
        unique=True,
        blank=True,
        validators=[keys.is_key],
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
        self.key = self.key or keys.key_from(self.name)
        if not self.key:
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


class Note(Caused):
    """What somebody, or a connector, wrote down about a contact."""

    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="notes", db_index=False
    )
    text = models.TextField("note")
    # Kept as text: it says who it was when the user is gone, or was none.
    author = models.CharField(max_length=160, editable=False)
    author_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        editable=False,
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["contact", "-id"], name="crm_note_contact")]

    def __str__(self) -> str:
        return self.text[:60]


class Merge(models.Model):
    """One contact merged into another, with all that it takes to undo it."""

    survivor = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="merges")
    loser = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="merged_by")
    # What the survivor got: see merging.py.
    moved = JsonText(default=dict, editable=False)
    who = models.CharField(max_length=160)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    undone_at = models.DateTimeField(null=True, editable=False)
    undone_by = models.CharField(max_length=160, blank=True)

    def __str__(self) -> str:
        return f"Merge {self.pk}"

    @property
    def name(self) -> str:
        """What the loser was known by."""
        identity = self.moved["identity"]
        return str(identity["name"] or identity["phone"] or identity["email"])


@long_job
class Erasure(Job):
    """The rest of a deleted contact, erased slice by slice (erasing.py)."""

    # The ids of the contact and of all that were merged into it; the job outlives their rows.
    contacts = JsonText(default=list, editable=False)
    with_history = models.BooleanField(default=False, editable=False)
    # Transactions (core.writers) that began before the first slice and are not over: they may have
    # read the contact before it was deleted. None before the first slice.
    awaits = JsonText(null=True, editable=False)

    def __str__(self) -> str:
        return f"Erasure {self.pk}"

    def slice(self) -> bool:
        from apps.crm import erasing  # it stands on these models

        return erasing.erase_slice(self)
