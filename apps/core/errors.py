"""What is said when no view has an answer."""

import sys

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from apps.core.outside import HOOKS
from apps.core.trouble import is_installations, sentence


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A sentence; for callers of webhooks in the form of the webhook's own refusals."""
    why = "The request can't be read."
    if isinstance(exception, DisallowedHost):
        why = (
            "This server doesn't answer to the host name that was asked for. Its names are set "
            "with SWITCHBOARD_URL and SWITCHBOARD_ALLOWED_HOSTS."
        )
    if request.path_info.startswith(HOOKS):
        return JsonResponse({"status": "error", "detail": why}, status=400)
    return HttpResponse(why, status=400, content_type="text/plain")


def server_error(request: HttpRequest) -> HttpResponse:
    """That it failed, on a page that needs no database. Staff are told what is wrong with the
    installation; not on the way in, where anybody may read it."""
    error = sys.exc_info()[1]
    trouble = sentence(error) if error is not None and is_installations(error) else ""
    status = 503 if trouble else 500
    if request.path_info.startswith(HOOKS):
        why = "The event could not be stored. Post it again in a minute."
        return JsonResponse({"status": "error", "detail": why}, status=status)
    inside = getattr(getattr(request, "_cached_user", None), "is_staff", False)
    page = render_to_string("core/broken.html", {"trouble": trouble, "inside": inside})
    return HttpResponse(page, status=status)
