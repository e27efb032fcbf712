"""Data Storage: read a row for later actions."""

from django.db import models

from apps.actions.tables.fields import Condition, Matching
from apps.actions.tables.matching import Terms, counted, ids_of, told
from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome
from apps.connectors.registry import register
from apps.datastore.models import Column
from apps.datastore.tables.rows import Refused, read_row


@register
class FindRow(Action, Matching):
    """Read the row that meets the conditions, so that later actions can use its values."""

    slug, title, category, icon = "find_row", "Find Row", "Data Storage", "manage_search"
    writes = False
    gives = "storage"
    given = ["found", "count", "row_id"]
    editor = ["table", "which", "match"]
    row_sets = ["conditions"]

    def summary(self) -> str:
        return self.spelled()

    def problems(self) -> list[str]:
        return self.match_problems()

    def perform(self, run: Performing) -> Outcome:
        table = run.ref(self, "table")
        terms = Terms(self, run)
        if table is None or not terms.terms:
            return Failed("Choose a table and conditions, and publish.")
        columns = run.once(
            ("columns", table.pk), lambda: list(Column.objects.filter(table=table.pk))
        )
        try:
            found = ids_of(self, table, terms.bound(columns))
        except Refused as error:
            return Failed(str(error))
        row = read_row(found[0], columns) if found else {}
        values = {"found": bool(found), **told(found), "row": row}
        return Done(counted(found, "found"), values)


class FindRowCondition(Condition):
    """Which row is looked for."""

    action = models.ForeignKey(FindRow, on_delete=models.CASCADE, related_name="conditions")

    class Meta:
        verbose_name = "condition"
