"""Data Storage: empty cells of rows, which stay."""

from django.db import models

from apps.actions.tables.fields import Condition, InColumn, Matching
from apps.actions.tables.matching import Terms, counted, ids_of, present, told
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.datastore.models import Column
from apps.datastore.tables import rows


@register
class EmptyRow(Action, Matching):
    """This will clear the row data value"""

    slug, title, category, icon = "empty_row", "Empty Row Data", "Data Storage", "ink_eraser"
    gives = "storage"
    given = ["row_id", "count"]
    editor = ["table", "which", "match"]
    row_sets = ["conditions", "columns"]

    def summary(self) -> str:
        columns = ", ".join(map(str, self.draft_rows("columns"))) or "all columns but the key"
        return f"{self.spelled()} → {columns}" if self.table_id else ""

    def problems(self) -> list[str]:
        return self.match_problems("columns")

    def touches_shared(self) -> bool:
        return True

    def perform(self, run: Performing) -> Outcome:
        table = run.ref(self, "table")
        terms = Terms(self, run)
        listed: list[Column] = [run.ref(row, "column") for row in run.rows(self, "columns")]
        if table is None or not terms.terms:
            return Failed("Choose a table and conditions, and publish.")
        try:
            columns = rows.columns_for_writing(table)
            known = {column.pk: column for column in columns}
            emptied = [present(column, known) for column in listed]
            found = ids_of(self, table, terms.bound(columns))
            emptied = emptied or [column for column in columns if not column.is_key]
            rows.empty_rows(found, emptied, **run.cause)
        except rows.Refused as error:
            return Failed(str(error))
        return Done(counted(found, "emptied"), told(found))


class EmptyRowCondition(Condition):
    """Which rows are emptied."""

    action = models.ForeignKey(EmptyRow, on_delete=models.CASCADE, related_name="conditions")

    class Meta:
        verbose_name = "condition"


class EmptyRowColumn(InColumn):
    """One column to empty; without any, all but the key column are."""

    action = models.ForeignKey(EmptyRow, on_delete=models.CASCADE, related_name="columns")

    class Meta:
        verbose_name = "column to empty"
        verbose_name_plural = "columns to empty (none: all but the key)"
        constraints = [
            models.UniqueConstraint(
                fields=["action", "column"],
                name="actions_empty_row_column",
                violation_error_message="This column is listed already.",
            )
        ]
