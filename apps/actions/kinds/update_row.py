"""Data Storage: change values of rows."""

from typing import Any

from django.db import models

from apps.actions.tables.fields import ColumnValue, Condition, Matching
from apps.actions.tables.matching import Terms, counted, ids_of, told
from apps.actions.tables.writing import Texts, names
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.datastore.models import Column, Table
from apps.datastore.tables import rows
from apps.datastore.tables.cells import BadCell


@register
class UpdateRow(Action, Matching):
    """This action will perform the row data update"""

    slug, title, category, icon = "update_row", "Update Row Data", "Data Storage", "edit_note"
    gives = "storage"
    given = ["row_id", "count"]
    editor = ["table", "which", "match"]
    row_sets = ["conditions", "values"]

    def summary(self) -> str:
        values = ", ".join(map(str, self.draft_rows("values")))
        return f"{self.spelled()} → {values}" if self.table_id else ""

    def problems(self) -> list[str]:
        lacking = [] if self.draft_rows("values") else ["Add at least one column with its value."]
        return self.match_problems("values") + lacking

    def touches_shared(self) -> bool:
        return True

    def perform(self, run: Performing) -> Outcome:
        table = run.ref(self, "table")
        terms, texts = Terms(self, run), Texts(self, run)
        if table is None or not terms.terms or not texts.texts:
            return Failed("Choose a table, conditions and the columns to change, and publish.")
        try:
            return self._update(table, terms, texts, run)
        except (BadCell, rows.Refused) as error:
            return Failed(str(error))

    def _update(self, table: Table, terms: Terms, texts: Texts, run: Performing) -> Outcome:
        columns = rows.columns_for_writing(table)
        read = texts.read(columns)
        filled: dict[Column, Any] = {c: value for c, value in read.items() if value is not None}
        empty = [column for column in read if column not in filled]
        if not filled:
            return Failed(
                f"The value for {names(empty)} is empty, so nothing was changed. Empty Row Data "
                "empties cells."
            )
        found = ids_of(self, table, terms.bound(columns))
        rows.update_rows(found, filled, **run.cause)
        note = counted(found, "updated")
        if found and empty:
            note += f"; {names(empty)} left as before, since the new value is empty"
        return Done(note, told(found))


class UpdateRowCondition(Condition):
    """Which rows are changed."""

    action = models.ForeignKey(UpdateRow, on_delete=models.CASCADE, related_name="conditions")

    class Meta:
        verbose_name = "condition"


class UpdateRowValue(ColumnValue):
    """One column that is changed."""

    action = models.ForeignKey(UpdateRow, on_delete=models.CASCADE, related_name="values")

    class Meta:
        verbose_name = "new value"
        constraints = [
            models.UniqueConstraint(
                fields=["action", "column"],
                name="actions_update_row_column",
                violation_error_message="This column is listed already.",
            )
        ]
