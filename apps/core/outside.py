"""What strangers post to, kept apart from the back office's pages.

A mapped response is text that an operator wrote, filled with what a stranger posted, and it comes
from the host that the back office has. So a browser that opens it runs nothing of it: whatever its
type, it stands in a sandbox of its own origin and may load nothing.
"""

from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

Answer = TypeVar("Answer", bound=HttpResponseBase)

HOOKS = "/hooks/"
SANDBOX = "default-src 'none'; sandbox"


def sandboxed(response: Answer) -> Answer:
    """An answer that carries what others wrote: the browser takes its type at its word and lets it
    do nothing."""
    response["Content-Security-Policy"] = SANDBOX
    response["X-Content-Type-Options"] = "nosniff"
    return response


class Outside:
    """Middleware, the outermost: sandboxes every answer under /hooks/, and answers nothing else
    on the host name that is theirs alone (SWITCHBOARD_HOOKS_HOST)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(HOOKS):
            return sandboxed(self.get_response(request))
        if settings.HOOKS_HOST and _host(request) == settings.HOOKS_HOST:
            text = "There are only webhooks at this host name."
            return sandboxed(HttpResponse(text, status=404, content_type="text/plain"))
        return self.get_response(request)


def _host(request: HttpRequest) -> str:
    """Whom the request asks for, without the port; not to be trusted, but for this."""
    named = str(request.META.get("HTTP_HOST", ""))
    return named.rpartition("@")[2].split(":")[0].lower().rstrip(".")
