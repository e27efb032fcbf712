"""The operators' pages of long jobs: a list, a page that follows the progress, cancel, resume."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST, require_safe
from unfold.decorators import display

from apps.core.jobs import Job
from apps.core.outside import sandboxed
from apps.core.pages import LargeTableAdmin
from apps.core.transfer import text
from apps.core.transfer.files import StoredFile

COLOURS = {"working": "info", "waiting": "info", "done": "success", "failed": "danger"}


class JobAdmin(LargeTableAdmin):
    """Whoever may add a job may act on it; whoever may view one sees its page."""

    page_template = "transfer/job.html"
    progress_template = ""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view") or self.has_add_permission(request)

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)

    @display(description="State", label=COLOURS)
    def state_label(self, job: Job) -> tuple[str, str]:
        return job.state, self.state_of(job)

    def state_of(self, job: Any) -> str:
        return str(job.get_state_display())

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {
            "progress_template": self.progress_template,
            "state": self.state_of(row),
            "open": row.state in Job.OPEN,
            "resumable": row.state in Job.RESUMABLE and self.can_resume(row),
            "percent": percent(row),
            "kept_until": kept_until(row.file),
            "poll": self.page(row, "progress"),
            "cancel_url": self.page(row, "cancel"),
            "resume_url": self.page(row, "resume"),
        }

    def can_resume(self, job: Any) -> bool:
        return job.file is not None or job.done == 0

    def page(self, job: Any, view: str = "change") -> str:
        opts = self.opts
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_{view}", args=[job.pk])

    def get_urls(self) -> list[URLPattern]:
        views = {"progress": self.progress_view, "cancel": self.cancel_view}
        views |= {"resume": self.resume_view, **self.own_views()}
        own = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(view),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def own_views(self) -> dict[str, Any]:
        """Further pages of a row: last part of the address → view(request, pk)."""
        return {}

    @method_decorator(require_safe)
    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that changes."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.find(request, str(pk))
        context = {"object": row, "may_act": self.has_act_permission(request)}
        context |= self.page_context(request, row)
        return TemplateResponse(request, self.progress_template, context)

    @method_decorator(require_POST)
    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = self.acting(request, pk)
        if not type(job).cancel(pk):
            self.message_user(request, f"The {self.opts.verbose_name} had ended already.")
        return HttpResponseRedirect(self.page(job))

    @method_decorator(require_POST)
    def resume_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = self.acting(request, pk)
        if not self.can_resume(job) or not type(job).resume(pk):
            refusal = f"The {self.opts.verbose_name} can't be resumed."
            self.message_user(request, refusal, messages.WARNING)
        return HttpResponseRedirect(self.page(job))

    def acting(self, request: HttpRequest, pk: int) -> Any:
        """The job, for somebody who may act on it."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        return self.find(request, str(pk))


def percent(job: Job) -> int | None:
    return min(100, job.done * 100 // job.total) if job.total else None


def kept_until(file: StoredFile | None) -> datetime | None:
    return file.written_at + timedelta(days=settings.TRANSFER_DAYS) if file else None


def download(portions: Any, name: str, content_type: str) -> StreamingHttpResponse:
    """A file to be saved, whatever it holds: never shown by the browser."""
    response = StreamingHttpResponse(portions, content_type=content_type)
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Cache-Control"] = "private, no-store"
    return sandboxed(response)


def csv_download(
    name: str, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    """A CSV file of any length that is never in memory as a whole. `name` has no ending."""
    return download(text.neutral_lines(header, rows), f"{name}.csv", "text/csv; charset=utf-8")
