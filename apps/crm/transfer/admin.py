"""People → Imports and Exports."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST, require_safe
from unfold.decorators import display

from apps.core.jobs import Job
from apps.core.pages import CAUSE_PAGES
from apps.core.transfer import intake
from apps.core.transfer.exporting import CONTENT_TYPES, refused_rows
from apps.core.transfer.pages import JobAdmin, download
from apps.core.transfer.text import DELIMITERS, ENCODINGS, Unreadable
from apps.crm.transfer import forms
from apps.crm.transfer.columns import ContactColumns
from apps.crm.transfer.models import ContactExport, ContactImport
from apps.crm.transfer.people import CAUSE

CAUSE_PAGES[CAUSE] = ("Import", "admin:transfer_contactimport_change")
PROBLEMS_SHOWN = 20


@admin.register(ContactImport)
class ContactImportAdmin(JobAdmin):
    list_display = ["file_name", "state_label", "added", "changed", "left", "wrong", "by"]
    list_display += ["created_at"]
    progress_template = "transfer/import_progress.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An import writes contacts."""
        needed = ("transfer.add_contactimport", "crm.add_contact", "crm.change_contact")
        return request.user.has_perms(needed)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContactImport]:
        return super().get_queryset(request).select_related("by", "file")

    def state_of(self, job: ContactImport) -> str:
        if job.state == Job.State.DRAFT:
            return "Columns to be chosen"
        if job.is_checked:
            return "Dry run done"
        if job.state in Job.OPEN:
            return "Importing" if not job.dry else "Dry run"
        return "Imported" if job.state == Job.State.DONE else str(job.get_state_display())

    @display(description="Added")
    def added(self, job: ContactImport) -> str:
        return self._count(job, job.created)

    @display(description="Updated")
    def changed(self, job: ContactImport) -> str:
        return self._count(job, job.updated)

    @display(description="Skipped")
    def left(self, job: ContactImport) -> str:
        return self._count(job, job.skipped)

    @display(description="Wrong")
    def wrong(self, job: ContactImport) -> str:
        return self._count(job, job.refused)

    @staticmethod
    def _count(job: ContactImport, count: int) -> str:
        """What a dry run counts has not happened."""
        return "–" if job.dry else f"{count:,}"

    def own_views(self) -> dict[str, Any]:
        return {"columns": self.columns_view, "start": self.start_view, "errors": self.errors_view}

    # --- uploading -------------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        error, encoding = "", request.POST.get("encoding", "")
        if request.method == "POST":
            try:
                return HttpResponseRedirect(self.page(self._upload(request), "columns"))
            except Unreadable as unreadable:
                error = str(unreadable)
        context = {
            **self.admin_site.each_context(request),
            "title": "Import contacts",
            "opts": self.opts,
            "error": error,
            "encoding": encoding,
            "encodings": ENCODINGS.items(),
            "limit": settings.MAX_UPLOAD_BYTES // 1024**2,
            "back": reverse("admin:transfer_contactimport_changelist"),
        }
        return TemplateResponse(request, "transfer/upload.html", context)

    @staticmethod
    def _upload(request: HttpRequest) -> ContactImport:
        upload = request.FILES.get("file")
        if upload is None:
            raise Unreadable("Choose a file.")
        encoding = request.POST.get("encoding", "")
        table = intake.receive(upload, encoding if encoding in ENCODINGS else "")
        job = ContactImport.drafted(table)
        job.by = request.user  # type: ignore[assignment]
        job.mapping = ContactColumns().guess(job.headers)
        job.save()
        return job

    # --- choosing columns ------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if self.has_add_permission(request):
            job = self.find(request, object_id)
            if job.state == Job.State.DRAFT and job.file:
                return HttpResponseRedirect(self.page(job, "columns"))
        return super().change_view(request, object_id, form_url, extra_context)

    def columns_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        job, error = self.acting(request, pk), ""
        if request.method == "POST":
            try:
                return self._check(request, job)
            except forms.ColumnsError as wrong:
                error = str(wrong)
        if not self._may_choose(job):
            return HttpResponseRedirect(self.page(job))
        context = {
            **self.admin_site.each_context(request),
            "title": "Import contacts",
            "opts": self.opts,
            "object": job,
            "error": error,
            "columns": forms.file_columns(job),
            "targets": forms.targets(),
            "policies": ContactImport.Policy.choices,
            "encoding": ENCODINGS.get(job.encoding, ""),
            "delimiter": DELIMITERS.get(job.delimiter, ""),
            "action": self.page(job, "columns"),
            "back": reverse("admin:transfer_contactimport_changelist"),
        }
        return TemplateResponse(request, "transfer/columns.html", context)

    @staticmethod
    def _may_choose(job: ContactImport) -> bool:
        """Until something has been imported, and while nothing is under way."""
        return job.dry and job.state not in Job.OPEN and job.file is not None

    @transaction.atomic
    def _check(self, request: HttpRequest, job: ContactImport) -> HttpResponse:
        """Begin the dry run with the columns that were sent, unless something has begun already."""
        locked = ContactImport.objects.select_for_update().get(pk=job.pk)
        if self._may_choose(locked):
            forms.read_columns(job, request.POST)
            forms.read_columns(locked, request.POST)
            locked.begin_dry_run()
        return HttpResponseRedirect(self.page(job))

    # --- following and starting ------------------------------------------------------------------

    def page_context(self, request: HttpRequest, row: ContactImport) -> dict[str, Any]:
        problems = row.file.refused.order_by("number")[:PROBLEMS_SHOWN] if row.file else []
        return {
            **super().page_context(request, row),
            "step": 4 if not row.dry else 3,
            "problems": problems if row.refused else [],
            "counts": {
                name: f"{getattr(row, name):,}"
                for name in ("created", "updated", "skipped", "refused")
            },
            "may_start": bool(row.file and (row.created or row.updated)),
            "columns_url": self.page(row, "columns"),
            "start_url": self.page(row, "start"),
            "errors_url": self.page(row, "errors"),
        }

    @method_decorator(require_POST)
    @transaction.atomic
    def start_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        self.acting(request, pk)
        job = ContactImport.objects.select_for_update().get(pk=pk)
        if job.is_checked and job.file:
            job.begin_import()
        else:
            text = "The import was not started: its dry run comes first, and it starts only once."
            self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.page(job))

    @method_decorator(require_safe)
    def errors_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = self.find(request, str(pk))
        if job.file is None:
            raise Http404("The file of this import is no longer kept.")
        name = job.file_name.rpartition(".")[0] or job.file_name
        rows = refused_rows(job.file, job.headers)
        return download(rows, f"{name}-errors.csv", CONTENT_TYPES["csv"])


@admin.register(ContactExport)
class ContactExportAdmin(JobAdmin):
    list_display = ["described", "form", "state_label", "written", "by", "created_at"]
    progress_template = "transfer/export_progress.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perms(("transfer.add_contactexport", "crm.view_contact"))

    def has_download_permission(self, request: HttpRequest) -> bool:
        """Whoever may see the list of exports, and contacts at all."""
        return self.has_view_permission(request) and request.user.has_perm("crm.view_contact")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContactExport]:
        return super().get_queryset(request).select_related("by", "file", "tag", "category")

    def state_of(self, job: ContactExport) -> str:
        return "Ready" if job.state == Job.State.DONE else str(job.get_state_display())

    @display(description="Contacts written")
    def written(self, job: ContactExport) -> str:
        return f"{job.done:,}"

    def own_views(self) -> dict[str, Any]:
        return {"download": self.download_view}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = forms.ExportForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            job: ContactExport = form.save(commit=False)
            job.by, job.described = request.user, job.describe()  # type: ignore[assignment]
            job.begin()
            return HttpResponseRedirect(self.page(job))
        context = {
            **self.admin_site.each_context(request),
            "title": "Export contacts",
            "opts": self.opts,
            "form": form,
            "back": reverse("admin:transfer_contactexport_changelist"),
        }
        return TemplateResponse(request, "transfer/new_export.html", context)

    def page_context(self, request: HttpRequest, row: ContactExport) -> dict[str, Any]:
        return {
            **super().page_context(request, row),
            "written": f"{row.done:,}",
            "may_download": self.has_download_permission(request),
            "download_url": self.page(row, "download"),
        }

    @method_decorator(require_safe)
    def download_view(self, request: HttpRequest, pk: int) -> Any:
        if not self.has_download_permission(request):
            raise PermissionDenied
        job = self.find(request, str(pk))
        if job.state != Job.State.DONE or job.file is None:
            raise Http404("This export is not ready, or its file is no longer kept.")
        return download(job.content(), job.file_name(), CONTENT_TYPES[job.form])
