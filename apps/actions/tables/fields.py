"""The columns and rows by which an action says which table, which rows, and which values."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from apps.actions.conditions import OPERATORS, TYPES, find_operator, right_error
from apps.core import liquid
from apps.core.fields import TemplateField
from apps.datastore.models import Column, Table

OPERATOR_CHOICES = [
    (label, [(f"{sort}:{name}", operator.printed) for name, operator in OPERATORS[sort].items()])
    for sort, label in TYPES
]
_LISTS = ["text:in_list", "text:not_in_list"]


class InTable(models.Model):
    """The column that chooses the table."""

    table = models.ForeignKey(
        Table,
        null=True,
        on_delete=models.RESTRICT,
        related_name="+",
        help_text="Tables are made on the page Tables, under Data.",
    )

    class Meta:
        abstract = True

    def draft_rows(self, accessor: str) -> "list[Any]":
        """The action's rows in a draft; none before it is saved."""
        return list(getattr(self, accessor).all()) if self.pk else []

    def table_problems(self, *accessors: str) -> list[str]:
        """What is wrong with the table and with the columns that the rows of these sets name."""
        if not self.table_id:
            return ["Choose a table."]
        named = [row.column for accessor in accessors for row in self.draft_rows(accessor)]
        foreign = {column.name: None for column in named if column.table_id != self.table_id}
        return [f'The column "{name}" is not in the table "{self.table}".' for name in foreign]


class Matching(InTable):
    """The columns that say which rows are meant; the conditions are rows of the action."""

    which = models.CharField(
        "rows",
        max_length=5,
        choices=[("first", "First match"), ("all", "All matches")],
        default="first",
        help_text="The first match is the oldest row.",
    )
    match = models.CharField(
        max_length=3,
        choices=[("all", "Match All Conditions"), ("any", "Match Any Condition")],
        default="all",
    )

    class Meta:
        abstract = True

    def spelled(self) -> str:
        """Table and conditions in one line."""
        if not self.table_id:
            return ""
        joined = " or " if self.match == "any" else " and "
        return f"{self.table}: {joined.join(map(str, self.draft_rows('conditions')))}"

    def match_problems(self, *accessors: str) -> list[str]:
        conditions = self.draft_rows("conditions")
        told = [(number, row.error()) for number, row in enumerate(conditions, 1)]
        return [
            *self.table_problems("conditions", *accessors),
            *([] if conditions else ["Add at least one condition."]),
            *(f"Condition {n}: {error[0].lower()}{error[1:]}" for n, error in told if error),
        ]


class _WithTable(models.Manager[Any]):
    """In the order in which they were added, with the table of each column: its name is part of the
    column's in a frozen plan."""

    def get_queryset(self) -> Any:
        return super().get_queryset().select_related("column__table").order_by("pk")


class InColumn(models.Model):
    """A row of an action that names one column of the action's table."""

    column = models.ForeignKey(Column, on_delete=models.RESTRICT, related_name="+")

    objects = _WithTable()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.column.name)

    def clean(self) -> None:
        action: Any = self.action  # type: ignore[attr-defined]
        table_id = action.table_id
        if table_id and self.column_id and self.column.table_id != table_id:
            raise ValidationError({"column": "Choose a column of the table above."})


class ColumnValue(InColumn):
    """What a column is to hold."""

    value = TemplateField(
        blank=True,
        help_text="Read by the column's type: a number like 12.5, a date like 2026-03-31.",
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.column.name} = {' '.join(self.value.split())}"


class Condition(InColumn):
    """What a column of the rows that are meant holds."""

    shows_when = {"delimiter": ("operator", _LISTS)}

    operator = models.CharField(max_length=30, choices=OPERATOR_CHOICES)
    value = TemplateField(blank=True)
    delimiter = models.CharField(
        max_length=10, blank=True, help_text="Between the items of a list. Empty: a comma."
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        operator = find_operator(self.operator)
        printed = operator.printed if operator else self.operator
        return f"{self.column.name} {printed} {' '.join(self.value.split())}".strip()

    def clean(self) -> None:
        super().clean()
        error = self.error()
        if error:
            raise ValidationError({"value" if find_operator(self.operator) else "operator": error})

    def error(self) -> str:
        """What could never be compared, in a sentence; empty when all is well."""
        operator = find_operator(self.operator)
        if operator is None:
            return "Choose an operator from the list."
        if operator.read_right is None:
            return ""
        if not self.value.strip():
            return "Fill in the value to compare with."
        if liquid.has_attributes(self.value):
            return liquid.syntax_error(self.value)
        error = right_error(operator, self.value, self.delimiter)
        return f"{error[0].upper()}{error[1:]}." if error else ""
