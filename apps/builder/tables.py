"""The forms of the actions on rows of tables: a table first, then columns of that table."""

from typing import Any

from django.http import HttpRequest
from django.utils.html import json_script
from unfold.widgets import UnfoldAdminSelectWidget

from apps.actions.kinds.create_row import CreateRow
from apps.actions.kinds.delete_row import DeleteRow
from apps.actions.kinds.empty_row import EmptyRow
from apps.actions.kinds.find_row import FindRow
from apps.actions.kinds.update_row import UpdateRow
from apps.builder.kinds import KindAdmin, RowInline, page_of
from apps.connectors.models import Action, Step
from apps.core.pages import as_id
from apps.datastore.models import Column

# Which operators are offered for a column of a type; a filter's are all there.
OPERATORS = {
    "text": ["Text", "Email", "Website"],
    "number": ["Numeric"],
    "date": ["Date"],
    "datetime": ["Date & Time", "Date", "Time"],
    "boolean": ["Text"],
    "json": ["Text"],
}


class ColumnSelect(UnfoldAdminSelectWidget):
    """Offers the columns of one table; columns.js offers those of another when it is chosen."""

    offered: list[tuple[int, str]] = []

    def optgroups(self, name: str, value: list[str], attrs: Any = None) -> Any:
        self.choices = [("", "Select value"), *self.offered]
        return super().optgroups(name, value, attrs)


class ColumnsInline(RowInline):
    """Rows that name columns."""

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        widget = formset.form.base_fields["column"].widget
        widget = getattr(widget, "widget", widget)
        widget.offered = _columns_of(request.POST.get("table") or (obj and obj.table_id))
        return formset

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.related_model is Column:
            kwargs["widget"] = ColumnSelect(attrs={"data-columns": ""})
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


def _columns_of(table_id: Any) -> list[tuple[int, str]]:
    number = as_id(str(table_id or ""))
    return list(Column.objects.filter(table=number).values_list("pk", "name")) if number else []


@page_of(CreateRow)
@page_of(UpdateRow)
@page_of(EmptyRow)
@page_of(DeleteRow)
@page_of(FindRow)
class InTableAdmin(KindAdmin):
    change_form_template = "builder/in_table_form.html"
    row_inline = ColumnsInline

    def form_context(
        self, request: HttpRequest, step: Step, action: Action | None
    ) -> dict[str, Any]:
        offered: dict[int, list[Any]] = {}
        for pk, table, name, type in Column.objects.values_list("pk", "table", "name", "type"):
            offered.setdefault(table, []).append([pk, name, type])
        script = {"tables": offered, "operators": OPERATORS}
        return {"columns_script": json_script(script, "bo-columns")}
