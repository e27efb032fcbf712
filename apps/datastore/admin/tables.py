"""Tables and their columns: the list, and the form that keeps rows in step with their columns."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db import models
from django.db.models import Count, IntegerField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminExpandableTextareaWidget, UnfoldAdminTextInputWidget

from apps.core.pages import RefusesUsed, clipped, link, refusal_of
from apps.datastore.admin import grid
from apps.datastore.models import Column, Row, Table
from apps.datastore.tables import schema, statements

# More rows than these are not counted for a list.
COUNTED = 10_000
_COUNT = (
    "(SELECT COUNT(*) FROM (SELECT 1 FROM datastore_row"
    " WHERE datastore_row.table_id = datastore_table.id LIMIT %s) AS counted)"
)


class ColumnFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """All columns of a table; a change that its rows don't allow is refused at the column."""

    def clean(self) -> None:
        super().clean()
        kept = [form for form in self._filled() if form not in self.deleted_forms]
        if not kept:
            raise forms.ValidationError("Add at least one column.")
        if len(kept) > settings.MAX_COLUMNS:
            raise forms.ValidationError(
                f"A table can have up to {settings.MAX_COLUMNS} columns; these are {len(kept)}."
            )
        if sum(bool(form.cleaned_data.get("is_key")) for form in kept) > 1:
            raise forms.ValidationError("A table can have one key column.")
        if self.instance.pk and not any(self.errors):
            self._check_against_rows(kept)

    def _filled(self) -> list[Any]:
        forms_ = [*self.initial_forms, *(form for form in self.extra_forms if form.has_changed())]
        return [form for form in forms_ if hasattr(form, "cleaned_data")]

    def _check_against_rows(self, kept: list[Any]) -> None:
        statements.lock_table(self.instance.pk)
        deleted = [form.instance for form in self.deleted_forms if form.instance.pk]
        refusals = [refusal for column in deleted if (refusal := refusal_of(column))]
        if refusals:
            raise forms.ValidationError(refusals)
        for form in kept:
            before = Column.objects.filter(pk=form.instance.pk).first()
            if before is None:
                continue
            why = ""
            if "type" in form.changed_data:
                why = schema.why_not_of_type(before, form.cleaned_data["type"])
                if why:
                    form.add_error("type", why)
            if form.cleaned_data["is_key"] and not why and form.has_changed():
                why = schema.why_no_key(before, form.cleaned_data["type"])
                if why:
                    form.add_error("is_key", why)
        if any(self.errors):
            raise forms.ValidationError("Nothing was changed: see the columns below.")

    def save(self, commit: bool = True) -> Any:
        """The old key column lets go before the new one takes over."""
        Column.objects.filter(table=self.instance.pk, is_key=True).update(is_key=False)
        saved = super().save(commit)
        for form in self.initial_forms:
            # An unchanged form is not saved, and the line above took its key.
            if form not in self.deleted_forms and form.cleaned_data.get("is_key"):
                Column.objects.filter(pk=form.instance.pk).update(is_key=True)
        self._renew_keys()
        return saved

    def save_existing(self, form: Any, obj: Any, commit: bool = True) -> Any:
        if "type" in form.changed_data:
            schema.change_type(Column.objects.get(pk=obj.pk), obj.type)
        return super().save_existing(form, obj, commit)

    def _renew_keys(self) -> None:
        touched = [*self.deleted_forms, *(form for form in self.forms if form.has_changed())]
        if not any({"is_key", "type", "DELETE"} & set(form.changed_data) for form in touched):
            return
        key = Column.objects.filter(table=self.instance.pk, is_key=True).first()
        if key is None:
            statements.forget_keys(self.instance.pk)
        else:
            schema.set_keys(key)


class ColumnInline(TabularInline):
    """Whoever may change a table may change its columns."""

    model = Column
    formset = ColumnFormSet
    fields = ["name", "type", "is_key", "default", "position"]
    ordering_field = "position"
    hide_ordering_field = True
    hide_title = True

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 3

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        # Django's own words about what is used would come in front of ours.
        made = super().get_formset(request, obj, **{**kwargs, "can_delete": True})
        made.form.hand_clean_DELETE = lambda form: None
        return made

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "default":
            kwargs["widget"] = UnfoldAdminTextInputWidget
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add" if obj is None else "change")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view") or self._may(request, "change")

    def _may(self, request: HttpRequest, verb: str) -> bool:
        return bool(request.user.has_perm(f"datastore.{verb}_table"))


@admin.register(Table)
class TableAdmin(RefusesUsed, ModelAdmin):
    list_display = ["name_link", "column_count", "row_count", "about", "settings_link"]
    list_display_links = None
    # Counting columns loses the model's own.
    ordering = ["name"]
    search_fields = ["name", "description"]
    fields = ["name", "description", "key"]
    inlines = [ColumnInline]
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminExpandableTextareaWidget}}
    warn_unsaved_form = True
    change_form_outer_before_template = "datastore/table_links.html"

    class Media:
        css = {"all": ["switchboard/timeline.css", "switchboard/tables.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Table]:
        count = RawSQL(_COUNT, [COUNTED + 1], output_field=IntegerField())
        tables = super().get_queryset(request)
        return tables.annotate(columns_count=Count("columns"), rows_count=count)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    def get_urls(self) -> list[Any]:
        return [*grid.urls(self.admin_site.admin_view), *super().get_urls()]

    @display(description="Table", ordering="name")
    def name_link(self, table: Table) -> SafeString:
        return link("admin:datastore_table_rows", table.pk, table)

    @display(description="Columns")
    def column_count(self, table: Any) -> int:
        return int(table.columns_count)

    @display(description="Rows")
    def row_count(self, table: Any) -> str:
        more = table.rows_count > COUNTED
        return f"more than {COUNTED:,}" if more else f"{table.rows_count:,}"

    @display(description="Description")
    def about(self, table: Table) -> SafeString | str:
        return clipped(table.description) if table.description else "–"

    @display(description="Settings")
    def settings_link(self, table: Table) -> SafeString:
        page = reverse("admin:datastore_table_change", args=[table.pk])
        return format_html('<a class="sb-link" href="{}">Edit columns</a>', page)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        answer = super().response_add(request, obj, post_url_continue)
        stays = {"_continue", "_addanother", "_popup"} & request.POST.keys()
        return answer if stays else _rows_of(obj)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        answer = super().response_change(request, obj)
        return answer if {"_continue", "_addanother"} & request.POST.keys() else _rows_of(obj)

    # --- deleting, without loading the rows ---

    def deletion_summary(self, objs: Any, request: HttpRequest) -> Any:
        lines = [
            f'The table "{table}" with all of its rows: '
            f"{Row.objects.filter(table=table.pk)[: COUNTED + 1].count():,}"
            for table in objs
        ]
        return lines, {"tables": len(lines)}, set(), []

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for table in queryset:
            table.delete()


def _rows_of(table: Table) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:datastore_table_rows", args=[table.pk]))
