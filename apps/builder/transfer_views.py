"""*Export* as a file, and *Restore into draft* of a revision."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_safe

from apps.builder.flow_views import find
from apps.builder.links import crumbs, export_url, flow_url
from apps.builder.pages import page
from apps.builder.permissions import may_change, may_use_credentials, may_view
from apps.builder.publish_views import log
from apps.connectors.draft import StaleDraft
from apps.connectors.exporting import export, file_name
from apps.connectors.importing import restore
from apps.connectors.models import Connector, Revision
from apps.connectors.publish import has_unpublished_changes
from apps.connectors.reading import NotImportable
from apps.core.outside import sandboxed


@require_safe
def export_file(request: HttpRequest, pk: int, number: int | None = None) -> HttpResponse:
    if not may_view(request):
        raise PermissionDenied
    connector = find(pk)
    revision = _revision(connector, number) if number is not None else None
    response = HttpResponse(export(connector, revision), content_type="application/json")
    name = file_name(connector, revision)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return sandboxed(response)


def _revision(connector: Connector, number: int) -> Revision:
    return get_object_or_404(connector.revisions, number=number)


# --- restore --------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def restore_page(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """*Restore into draft*: the draft becomes what a revision was."""
    if not may_change(request):
        raise PermissionDenied
    connector = find(pk)
    revision = _revision(connector, number)
    error = ""
    if request.method == "POST":
        try:
            return _restored(request, connector, revision)
        except StaleDraft as stale:
            error = f"{stale} Look at it again, then restore."
        except NotImportable as refused:
            error = f"Not restored. {refused}"
        connector = find(pk)
    context = {
        "connector": connector,
        "revision": revision,
        "error": error,
        "changed": has_unpublished_changes(connector),
        "crumbs": crumbs(connector, "Restore"),
        "title": f"Restore revision {number}",
        "flow_url": flow_url(pk),
        "export_url": export_url(pk),
    }
    return page(request, "builder/restore.html", context)


def _restored(request: HttpRequest, connector: Connector, revision: Revision) -> HttpResponse:
    version = request.POST.get("version", "")
    number = int(version) if is_id(version) else -1
    unresolved = restore(connector, revision, number, may_use_credentials(request))
    log(request, connector, f"Restored revision {revision.number} into the draft.")
    messages.success(request, f"The draft is revision {revision.number} again.")
    tell(request, unresolved)
    return HttpResponseRedirect(flow_url(connector.pk))


def is_id(text: str) -> bool:
    return text.isdecimal() and len(text) < 19


def tell(request: HttpRequest, unresolved: list[str]) -> None:
    """The first thing that is missing, and how many more stand at their actions."""
    if not unresolved:
        return
    more = len(unresolved) - 1
    rest = f" {more} more {'is' if more == 1 else 'are'} marked below." if more else ""
    messages.warning(request, unresolved[0] + rest)


def urls(view: Callable[..., Any]) -> list[URLPattern]:
    export_, name = view(export_file), "connectors_connector_export"
    revision = "<int:pk>/revisions/<int:number>"
    return [
        path("<int:pk>/export/", export_, name=name),
        path(f"{revision}/export/", export_, name=name),
        path(f"{revision}/restore/", view(restore_page), name="connectors_connector_restore"),
    ]
