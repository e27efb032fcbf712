"""Data Storage: add a row to a table."""

from django.db import models

from apps.actions.tables.fields import ColumnValue, InTable
from apps.actions.tables.writing import Texts, with_defaults
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.datastore.tables import rows
from apps.datastore.tables.cells import BadCell


@register
class CreateRow(Action, InTable):
    """This will create a new row, you need to specific the field name and data value"""

    slug, title, category, icon = "create_row", "Create New Row", "Data Storage", "playlist_add"
    gives = "storage"
    given = ["row_id", "count"]
    editor = ["table"]
    row_sets = ["values"]

    def summary(self) -> str:
        if not self.table_id:
            return ""
        return f"{self.table}: {', '.join(map(str, self.draft_rows('values')))}"

    def problems(self) -> list[str]:
        lacking = [] if self.draft_rows("values") else ["Add at least one column with its value."]
        return self.table_problems("values") + lacking

    def touches_shared(self) -> bool:
        return True

    def perform(self, run: Performing) -> Outcome:
        table = run.ref(self, "table")
        texts = Texts(self, run)
        if table is None or not texts.texts:
            return Failed("Choose a table and the columns to fill, and publish.")
        try:
            columns = rows.columns_for_writing(table)
            values = with_defaults(texts.read(columns), columns)
            row = rows.create_row(table, values, **run.cause)
        except (BadCell, rows.Refused) as error:
            return Failed(str(error))
        return Done(f'Row {row.pk} added to "{table}"', {"row_id": row.pk, "count": 1})


class CreateRowValue(ColumnValue):
    """One column of the new row."""

    action = models.ForeignKey(CreateRow, on_delete=models.CASCADE, related_name="values")

    class Meta:
        verbose_name = "value"
        constraints = [
            models.UniqueConstraint(
                fields=["action", "column"],
                name="actions_create_row_column",
                violation_error_message="This column is listed already.",
            )
        ]
