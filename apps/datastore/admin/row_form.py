"""The form of one row: a box for each column, by its type."""

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from apps.datastore.models import Column, Row
from apps.datastore.tables import cells
from apps.datastore.tables.cells import Type

_BOOLEANS = [("", "–"), ("true", "Yes"), ("false", "No")]
_BOXES = {
    Type.NUMBER: {"inputmode": "decimal"},
    Type.DATE: {"type": "date"},
    Type.DATETIME: {"type": "datetime-local", "step": "1"},
}


class CellField(forms.Field):
    """Cleans to the value that the cell keeps, None when it is empty."""

    def __init__(self, column: Column) -> None:
        self.column = column
        super().__init__(required=False, label=column.name, widget=_widget(column.type))
        if column.is_key:
            self.help_text = "The key: no two rows have the same."

    def clean(self, value: Any) -> Any:
        try:
            return cells.read(self.column, _plain(value))
        except cells.BadCell as error:
            raise forms.ValidationError(error.why) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _plain(initial) != _plain(data)


def _widget(type: str) -> forms.Widget:
    if type == Type.BOOLEAN:
        return UnfoldAdminSelectWidget(choices=_BOOLEANS)
    if type in _BOXES:
        return UnfoldAdminTextInputWidget(attrs=_BOXES[Type(type)])
    return UnfoldAdminExpandableTextareaWidget(attrs={"rows": 1})


def _plain(value: Any) -> str:
    """As the browser was given it: it sends line ends of its own."""
    return str(value or "").replace("\r\n", "\n").strip()


def _typed_in(column: Column, value: Any) -> str:
    """What stands in the box for a kept value."""
    if column.type == Type.DATETIME and value is not None:
        return cells.given(column, value)[:19]
    return cells.spelled(column, value)


class RowForm(forms.Form):
    def __init__(self, columns: list[Column], row: Row | None, data: Any = None) -> None:
        super().__init__(data)
        self.columns = {f"c{column.pk}": column for column in columns}
        for name, column in self.columns.items():
            self.fields[name] = CellField(column)
            kept = row.data.get(column.field) if row else None
            self.initial[name] = _typed_in(column, kept) if row else column.default

    def values(self) -> dict[Column, Any]:
        """All of them, for a new row."""
        return {column: self.cleaned_data[name] for name, column in self.columns.items()}

    def changes(self) -> dict[Column, Any]:
        """Only what was changed: runs write rows meanwhile."""
        return {
            column: self.cleaned_data[n]
            for n, column in self.columns.items()
            if n in self.changed_data
        }

    def refuse(self, sentence: str) -> None:
        """Say it at the key column, which it is about."""
        key = next((name for name, column in self.columns.items() if column.is_key), None)
        self.add_error(key, sentence)
