"""From what an action says about columns to values that can be kept."""

from typing import Any

from apps.actions.tables.matching import present
from apps.connectors.models import Action, Performing
from apps.datastore.models import Column
from apps.datastore.tables import cells


class Texts:
    """The rendered values of an action by column, not yet read by the columns' types."""

    def __init__(self, action: Action, run: Performing) -> None:
        self.texts: dict[Column, str] = {}
        for row in run.rows(action, "values"):
            column: Column = run.ref(row, "column")
            self.texts[column] = run.render(column.name, row.config["value"])

    def read(self, columns: list[Column]) -> dict[Column, Any]:
        """The values of these columns as they are now, None where a text is blank. Raises BadCell
        and Refused."""
        known = {column.pk: column for column in columns}
        wanted = {present(column, known): text for column, text in self.texts.items()}
        return {column: cells.read(column, text) for column, text in wanted.items()}


def with_defaults(values: dict[Column, Any], columns: list[Column]) -> dict[Column, Any]:
    """The values of a new row. Raises BadCell."""
    return {
        column: cells.read(column, column.default) if value is None else value
        for column in columns
        for value in [values.get(column)]
    }


def names(columns: "list[Column] | dict[Column, Any]") -> str:
    return ", ".join(f'"{column.name}"' for column in columns)
