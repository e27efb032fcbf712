"""What is refused before any view is asked."""

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A sentence; for callers of webhooks in the form of the webhook's own refusals."""
    sentence = "The request can't be read."
    if isinstance(exception, DisallowedHost):
        sentence = (
            "This server doesn't answer to the host name that was asked for. Its names are set "
            "with SWITCHBOARD_URL and SWITCHBOARD_ALLOWED_HOSTS."
        )
    if request.path_info.startswith("/hooks/"):
        return JsonResponse({"status": "error", "detail": sentence}, status=400)
    return HttpResponse(sentence, status=400, content_type="text/plain")
