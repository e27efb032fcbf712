"""Tables with typed columns: what the operators keep besides contacts."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q, Value
from django.db.models.functions import Concat

from apps.core import clock, typed
from apps.core.cause import Caused
from apps.core.keys import LENGTH, free_key, is_key, key_from
from apps.datastore.tables import cells, statements


class Table(models.Model):
    """A named set of rows, one for the whole account."""

    name = models.CharField(max_length=100, unique=True)
    key = models.CharField(
        max_length=LENGTH,
        unique=True,
        blank=True,
        validators=[is_key],
        help_text="One word for it. Made from the name if empty; it never changes.",
    )
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.key = self.key or key_from(self.name)
        if not self.key:
            raise ValidationError({"key": "Fill in the key: the name begins with no letter a-z."})

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """With all of its rows, however many: by statements, not one by one."""
        with transaction.atomic():
            statements.forget_rows(self.pk)
            return super().delete(*args, **kwargs)


_SEPARATOR = " › "


class ColumnManager(models.Manager["Column"]):
    def get_by_natural_key(self, name: str) -> "Column":
        """By the name that frozen plans have, since a column's own is not unique."""
        spelled = Concat("table__name", Value(_SEPARATOR), "name", output_field=models.TextField())
        return self.alias(spelled=spelled).get(spelled=name)


class Column(models.Model):
    """One typed column of a table."""

    Type = cells.Type

    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="columns")
    name = models.CharField(max_length=60)
    key = models.CharField(max_length=LENGTH, editable=False)
    type = models.CharField(max_length=10, choices=cells.Type, default=cells.Type.TEXT)
    is_key = models.BooleanField(
        "key",
        default=False,
        help_text="No two rows have the same value in the key column. Capitals and blanks around "
        "it make no difference.",
    )
    default = models.TextField(
        blank=True, help_text="What a new row has here when nothing is given."
    )
    position = models.PositiveIntegerField(default=0)

    objects = ColumnManager()

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["table", "name"],
                name="datastore_column_name",
                violation_error_message="There is a column with this name already.",
            ),
            models.UniqueConstraint(fields=["table", "key"], name="datastore_column_key"),
            models.UniqueConstraint(
                fields=["table"], condition=Q(is_key=True), name="datastore_one_key_column"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.table}{_SEPARATOR}{self.name}"

    @property
    def field(self) -> str:
        """Under which a row keeps the value: stable over renames."""
        return str(self.pk)

    def clean(self) -> None:
        self.name = " ".join(self.name.split())
        if self.is_key and self.type not in cells.KEYS:
            kinds = "text, numbers, dates or dates with times"
            raise ValidationError({"is_key": f"A key column holds {kinds}."})
        if self.is_key and self.default.strip():
            raise ValidationError({"default": "The key differs in each row: leave this empty."})
        try:
            cells.read_as(self.type, self.default)
        except typed.Unreadable as error:
            raise ValidationError({"default": str(error)}) from None

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.key:
            taken = Column.objects.filter(table=self.table_id).values_list("key", flat=True)
            self.key = free_key(key_from(self.name) or "column", set(taken))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """With what all rows hold in it."""
        with transaction.atomic():
            statements.forget_column(self.table_id, self.pk)
            return super().delete(*args, **kwargs)


class Row(Caused):
    """One row: its values by the ids of their columns, null ones left out. Read and written
    through `datastore.tables`, which keeps the cells in step."""

    table = models.ForeignKey(
        Table, on_delete=models.DO_NOTHING, related_name="rows", db_index=False
    )
    data = models.JSONField(default=dict)
    # What the key column's value is known by; null where there is none.
    key_value = models.CharField(max_length=3 * cells.KEY_LENGTH, null=True)
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["table", "key_value"], name="datastore_row_key")
        ]
        indexes = [models.Index(fields=["table", "id"], name="datastore_row_in_order")]

    def __str__(self) -> str:
        return f"Row {self.pk}"


class Cell(models.Model):
    """Where to look for a value: an index over what rows hold, the same on both databases
    (docs/adr/0012). The truth is in the row; one entry for each value that is not null."""

    pk = models.CompositePrimaryKey("row", "column")
    row = models.ForeignKey(Row, on_delete=models.DO_NOTHING, related_name="cells", db_index=False)
    column = models.ForeignKey(
        Column, on_delete=models.DO_NOTHING, related_name="+", db_index=False
    )
    # The beginning of the value as `cells.canonical` spells it.
    value = models.CharField(max_length=cells.INDEXED_LENGTH)

    class Meta:
        indexes = [models.Index(fields=["column", "value", "row"], name="datastore_cell_value")]
