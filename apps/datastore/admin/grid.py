"""The rows of a table: browsing, one row's form, CSV out and in."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
)
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_safe

from apps.core.pages import as_id, cause_link
from apps.core.transfer.pages import csv_download
from apps.datastore.admin.row_form import RowForm
from apps.datastore.models import Cell, Column, Row, Table
from apps.datastore.tables import cells, rows, sheets

PER_PAGE = 50
# In a table of up to so many rows a search looks inside the cells, not only for whole ones.
SMALL = 10_000
PROBLEMS_SHOWN = 20

View = Callable[..., HttpResponse]


def _may(request: HttpRequest, verb: str) -> bool:
    return bool(request.user.has_perm(f"datastore.{verb}_row"))


def needs(*verbs: str) -> Callable[[View], View]:
    """Decorator: only for those who may do one of these with rows. The view gets the table."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, pk: int, *args: Any, **kwargs: Any) -> HttpResponse:
            if not any(_may(request, verb) for verb in verbs):
                raise PermissionDenied
            try:
                return view(request, get_object_or_404(Table, pk=pk), *args, **kwargs)
            except rows.Refused as gone:
                raise Http404(str(gone)) from None

        return checked

    return decorate


@dataclass(frozen=True)
class _Crumb:
    title: str
    link: str = ""


def _crumbs(table: Table, title: str) -> list[_Crumb]:
    """Tables › the table's rows › …"""
    trail = [_Crumb("Tables", reverse("admin:datastore_table_changelist"))]
    if title == str(table):
        return [*trail, _Crumb(title)]
    rows_page = reverse("admin:datastore_table_rows", args=[table.pk])
    return [*trail, _Crumb(str(table), rows_page), _Crumb(title)]


def _page(request: HttpRequest, template: str, table: Table, **context: Any) -> TemplateResponse:
    request.current_app = admin.site.name  # type: ignore[attr-defined]
    shared: dict[str, Any] = {
        "table": table,
        "may": {v: _may(request, v) for v in ("add", "change", "delete")},
    }
    shared["crumbs"] = _crumbs(table, context["title"])
    shared["may_edit_table"] = request.user.has_perm("datastore.change_table")
    return TemplateResponse(
        request, template, {**admin.site.each_context(request), **shared, **context}
    )


def _back(table: Table) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:datastore_table_rows", args=[table.pk]))


# --- browsing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shown:
    """A row of the grid; cells with their column's type."""

    row: Row
    cells: list[tuple[str, str]]
    cause: Any


@require_safe
@needs("view", "change")
def browse(request: HttpRequest, table: Table) -> HttpResponse:
    columns = list(Column.objects.filter(table=table.pk))
    query = request.GET.get("q", "").strip()
    oldest_first = request.GET.get("order") == "oldest"
    is_small = Row.objects.filter(table=table.pk)[: SMALL + 1].count() <= SMALL
    found = _searched(table, columns, query, inside=is_small)
    page, before, after = _slice(found, request, oldest_first)
    keep = {name: v for name, v in (("q", query), ("order", "oldest" * oldest_first)) if v}
    return _page(
        request,
        "datastore/grid.html",
        table,
        title=str(table),
        columns=columns,
        rows=[_shown(row, columns) for row in page],
        query=query,
        oldest_first=oldest_first,
        is_small=is_small,
        previous=before and urlencode({**keep, "before": before}),
        following=after and urlencode({**keep, "after": after}),
        other_order=urlencode(
            {**({"q": query} if query else {}), **({} if oldest_first else {"order": "oldest"})}
        ),
    )


def _searched(table: Table, columns: list[Column], query: str, inside: bool) -> QuerySet[Row]:
    found = Row.objects.filter(table=table.pk)
    if not query:
        return found
    number = as_id(query) if query.startswith("#") else None
    if number:
        return found.filter(pk=number)
    text = cells.looked_up(cells.canonical(query))
    holding = Cell.objects.filter(column__in=[column.pk for column in columns])
    holding = holding.filter(value__contains=text) if inside else holding.filter(value=text)
    return found.filter(pk__in=holding.values("row"))


def _slice(
    found: QuerySet[Row], request: HttpRequest, oldest_first: bool
) -> tuple[list[Row], int | None, int | None]:
    """A page by keyset, and the ids from which the page before and the one after go on."""
    after, before = as_id(request.GET.get("after", "")), as_id(request.GET.get("before", ""))
    backwards = before is not None
    upwards = oldest_first != backwards
    start = before if backwards else after
    if start is not None:
        found = found.filter(pk__gt=start) if upwards else found.filter(pk__lt=start)
    page = list(found.order_by("pk" if upwards else "-pk")[: PER_PAGE + 1])
    more = len(page) > PER_PAGE
    page = page[:PER_PAGE]
    if backwards:
        page.reverse()
    has_before = more if backwards else start is not None
    has_after = True if backwards else more
    first, last = (page[0].pk, page[-1].pk) if page else (None, None)
    return page, first if has_before else None, last if has_after else None


def _shown(row: Row, columns: list[Column]) -> _Shown:
    values = [(c.type, cells.shown(c, row.data.get(c.field))) for c in columns]
    return _Shown(row, values, cause_link(row.cause, row.cause_id))


# --- one row --------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@needs("view", "change", "add")
def edit(request: HttpRequest, table: Table, number: int | None = None) -> HttpResponse:
    """The form of a row, or of a new one."""
    verb, posted = "change" if number else "add", request.method == "POST"
    seen = bool(number) and not posted and _may(request, "view")
    if not seen and not _may(request, verb):
        raise PermissionDenied
    # Looking at a row must not wait for whoever writes.
    with transaction.atomic() if posted else nullcontext():
        columns = rows.columns_for_writing(table) if posted else list(table.columns.all())
        row = get_object_or_404(Row, pk=number, table=table.pk) if number else None
        form = RowForm(columns, row, request.POST if posted else None)
        saved = posted and form.is_valid() and _save(table, row, form)
    if saved:
        messages.success(request, f"{saved} was {'saved' if row else 'added'}.")
        if "_addanother" in request.POST:
            return HttpResponseRedirect(reverse("admin:datastore_row_add", args=[table.pk]))
        return _back(table)
    title = str(row) if row else "Add row"
    cause = cause_link(row.cause, row.cause_id) if row else ""
    may_save = _may(request, verb)
    return _page(
        request,
        "datastore/row.html",
        table,
        title=title,
        form=form,
        row=row,
        cause=cause,
        may_save=may_save,
    )


def _save(table: Table, row: Row | None, form: RowForm) -> Row | None:
    """The row; None when it was refused, which the form tells then."""
    try:
        if row is None:
            return rows.create_row(table, form.values())
        rows.update_rows([row.pk], form.changes())
        return row
    except rows.Refused as error:
        form.refuse(str(error))
        return None


@require_http_methods(["GET", "HEAD", "POST"])
@needs("delete")
def delete(request: HttpRequest, table: Table, number: int) -> HttpResponse:
    """Asks first."""
    with transaction.atomic():
        rows.columns_for_writing(table)
        row = get_object_or_404(Row, pk=number, table=table.pk)
        if request.method == "POST":
            rows.delete_rows([row.pk])
    if request.method == "POST":
        messages.success(request, f"Row {number} was deleted.")
        return _back(table)
    return _page(
        request,
        "core/ask.html",
        table,
        title="Delete row",
        question=f'Delete row {number} of "{table}" with all that it holds?',
        button="Delete row",
        hidden=[],
        back=reverse("admin:datastore_row_change", args=[table.pk, row.pk]),
    )


# --- CSV ------------------------------------------------------------------------------------------


@require_safe
@needs("view", "change")
def download(request: HttpRequest, table: Table) -> Any:
    name = slugify(table.name)[:60] or f"table-{table.pk}"
    return csv_download(name, sheets.header(table), sheets.lines(table))


@require_http_methods(["GET", "HEAD", "POST"])
@needs("add")
def upload(request: HttpRequest, table: Table) -> HttpResponse:
    problems: list[str] = []
    key = Column.objects.filter(table=table.pk, is_key=True).first()
    if key and not _may(request, "change"):
        raise PermissionDenied
    if request.method == "POST":
        try:
            taken = sheets.take_in(table, _file(request))
        except sheets.NotTaken as refused:
            problems = refused.problems
        else:
            added = "1 row" if taken.added == 1 else f"{taken.added:,} rows"
            note = f"{added} added, {taken.changed:,} changed."
            messages.success(request, note)
            return _back(table)
    return _page(
        request,
        "datastore/upload.html",
        table,
        title="Upload CSV",
        key=key,
        problems=problems[:PROBLEMS_SHOWN],
        more=max(len(problems) - PROBLEMS_SHOWN, 0),
        most=f"{settings.MAX_SHEET_ROWS:,}",
        columns=Column.objects.filter(table=table.pk),
    )


def _file(request: HttpRequest) -> bytes:
    sent: Any = request.FILES.get("file")
    most = settings.MAX_SHEET_BYTES
    if sent is None:
        raise sheets.NotTaken(["Choose a CSV file."])
    if sent.size > most:
        raise sheets.NotTaken([f"The file is larger than {most // 1024 // 1024:,} MB: split it."])
    return bytes(sent.read())


def urls(view: Callable[[View], Any]) -> list[URLPattern]:
    row = "<int:pk>/rows/<int:number>/"
    return [
        path("<int:pk>/rows/", view(browse), name="datastore_table_rows"),
        path("<int:pk>/rows/add/", view(edit), name="datastore_row_add"),
        path(row, view(edit), name="datastore_row_change"),
        path(f"{row}delete/", view(delete), name="datastore_row_delete"),
        path("<int:pk>/csv/", view(download), name="datastore_table_csv"),
        path("<int:pk>/upload/", view(upload), name="datastore_table_upload"),
    ]
