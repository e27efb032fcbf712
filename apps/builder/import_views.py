"""*Import* from a file, in two steps: the file is read and checked, then a page shows what it would
reach, and *Import* there writes it.

Nothing of it is kept here in between: the file travels in the page. So that nobody is led past the
review, what was reviewed is signed for the one who has seen it: the bytes, what becomes of them,
and what the page said. Whatever is posted without that signature is shown first.
"""

import binascii
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.signing import Signer
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_http_methods

from apps.builder.links import crumbs, flow_url
from apps.builder.pages import page
from apps.builder.permissions import may_add, may_change, may_use_credentials, may_view
from apps.builder.publish_views import log
from apps.builder.transfer_views import is_id, tell
from apps.connectors.importing import Imported, import_into, import_new
from apps.connectors.models import Connector
from apps.connectors.reading import NotImportable
from apps.connectors.reviewing import Review, import_if

NEW, REPLACE = "new", "replace"


@dataclass(frozen=True)
class Asked:
    """A file, and what is to become of it: a new connector of that name, or the draft of
    `replaced`."""

    raw: bytes
    name: str
    replaced: Connector | None
    may_use_credentials: bool

    def write(self) -> Imported:
        if self.replaced is None:
            return import_new(self.raw, self.name, self.may_use_credentials)
        return import_into(self.replaced, self.raw, self.may_use_credentials)

    def signature(self, review: Review, user: Any) -> str:
        """For these bytes, this use of them and this review, as `user` has seen it."""
        target = self.replaced.pk if self.replaced else None
        seen = json.dumps([hashlib.sha256(self.raw).hexdigest(), self.name, target, repr(review)])
        return Signer(salt=f"{__name__}:{user.pk}").signature(seen)


@require_http_methods(["GET", "HEAD", "POST"])
def import_page(request: HttpRequest) -> HttpResponse:
    if not may_add(request):
        raise PermissionDenied
    error = ""
    if request.method == "POST":
        try:
            return _import(request, _asked(request))
        except NotImportable as refused:
            error = str(refused)
    context = {
        "crumbs": crumbs(None, "Import"),
        "title": "Import a connector",
        "error": error,
        "name": request.POST.get("name", ""),
        "into": request.POST.get("into", NEW),
        "replaced": request.POST.get("replaced", ""),
        "connectors": Connector.objects.only("name") if may_change(request) else [],
    }
    return page(request, "builder/import.html", context)


# --- what is asked for ----------------------------------------------------------------------------


def _asked(request: HttpRequest) -> Asked:
    raw, uses = _raw(request), may_use_credentials(request)
    if request.POST.get("into") != REPLACE:
        return Asked(raw, request.POST.get("name", ""), None, uses)
    if not may_change(request):
        raise PermissionDenied
    chosen = request.POST.get("replaced", "")
    known = Connector.objects.filter(pk=int(chosen) if is_id(chosen) else 0).first()
    if known is None:
        raise NotImportable("Choose the connector whose draft is replaced.")
    return Asked(raw, "", known, uses)


def _raw(request: HttpRequest) -> bytes:
    """The file that is uploaded, else the one that comes back from its review."""
    upload: Any = request.FILES.get("file")
    if upload is not None:
        # No more than is looked at, however large the upload is.
        return bytes(upload.read(settings.MAX_IMPORT_BYTES + 1))
    try:
        raw = urlsafe_b64decode(request.POST.get("reviewed", ""))
    except (binascii.Error, ValueError):
        raw = b""
    if not raw:
        raise NotImportable("Choose the file that was exported.")
    return raw


# --- the review, and what comes after -------------------------------------------------------------


def _import(request: HttpRequest, asked: Asked) -> HttpResponse:
    posted = request.POST.get("signature", "")

    def was_seen(review: Review) -> bool:
        return constant_time_compare(posted, asked.signature(review, request.user))

    review, imported = import_if(was_seen, asked.write)
    if imported is not None:
        return _imported(request, imported, asked)
    context = {
        "crumbs": crumbs(None, "Import"),
        "title": "Review the import",
        "changed": bool(posted),
        "review": review,
        "name": asked.name,
        "replaced": asked.replaced,
        "reviewed": urlsafe_b64encode(asked.raw).decode(),
        "signature": asked.signature(review, request.user),
    }
    return page(request, "builder/import_review.html", context)


def _imported(request: HttpRequest, imported: Imported, asked: Asked) -> HttpResponse:
    connector = imported.connector
    if asked.replaced is not None:
        log(request, connector, "Replaced the draft by an imported file.")
        done = f'The draft of "{connector}" was replaced.'
    else:
        log(request, connector, "Imported from a file.")
        done = f'Connector "{connector}" was imported.'
    messages.success(request, f"{done} Look at it, then publish it.")
    tell(request, imported.unresolved)
    seen = may_view(request)
    return HttpResponseRedirect(flow_url(connector.pk) if seen else request.path)


def urls(view: Callable[..., Any]) -> list[URLPattern]:
    return [path("import/", view(import_page), name="connectors_connector_import")]
