"""Data Storage: delete rows."""

from django.db import models

from apps.actions.tables.fields import Condition, Matching
from apps.actions.tables.matching import Terms, counted, ids_of, told
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.datastore.tables import rows


@register
class DeleteRow(Action, Matching):
    """You can delete a row including the data values in it"""

    slug, title, category, icon = "delete_row", "Delete Row", "Data Storage", "playlist_remove"
    gives = "storage"
    given = ["row_id", "count"]
    editor = ["table", "which", "match"]
    row_sets = ["conditions"]

    def summary(self) -> str:
        return self.spelled()

    def problems(self) -> list[str]:
        return self.match_problems()

    def touches_shared(self) -> bool:
        return True

    def perform(self, run: Performing) -> Outcome:
        table = run.ref(self, "table")
        terms = Terms(self, run)
        if table is None or not terms.terms:
            return Failed("Choose a table and conditions, and publish.")
        try:
            match = terms.bound(rows.columns_for_writing(table))
        except rows.Refused as error:
            return Failed(str(error))
        found = ids_of(self, table, match)
        rows.delete_rows(found)
        return Done(counted(found, "deleted"), told(found))


class DeleteRowCondition(Condition):
    """Which rows are deleted."""

    action = models.ForeignKey(DeleteRow, on_delete=models.CASCADE, related_name="conditions")

    class Meta:
        verbose_name = "condition"
