"""*Send test event*: a page on which an operator types an event for the connector."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods

from apps.builder.flow_views import find
from apps.builder.links import crumbs, flow_url
from apps.builder.pages import page
from apps.builder.permissions import may_change
from apps.builder.samples import sample_event
from apps.core.readable import pretty_json
from apps.engine import manual
from apps.engine.models import Event


@require_http_methods(["GET", "HEAD", "POST"])
def send_page(request: HttpRequest, pk: int) -> HttpResponse:
    if not may_change(request):
        raise PermissionDenied
    connector = find(pk)
    error = manual.refusal(connector)
    if request.method == "POST":
        typed = {"body": request.POST.get("body", ""), "query": request.POST.get("query", "")}
        try:
            run = manual.send(connector, typed["body"], typed["query"])
        except manual.NotSent as refused:
            error = str(refused)
        else:
            messages.success(request, f"Event {run.event_id} was sent: it is run {run.pk}.")
            seen = request.user.has_perm("engine.view_run")
            next_page = reverse("admin:engine_run_change", args=[run.pk]) if seen else None
            return HttpResponseRedirect(next_page or flow_url(pk))
    else:
        typed = prefilled(sample_event(pk))
    context = {
        **typed,
        "connector": connector,
        "error": error,
        "crumbs": crumbs(connector, "Send test event"),
        "title": "Send test event",
        "flow_url": flow_url(pk),
    }
    return page(request, "builder/test_event.html", context)


def prefilled(event: Event | None) -> dict[str, str]:
    """What such an event brings; an empty object where there is none or it was no JSON."""
    if event is None or event.form not in ("json", "fields"):
        return {"body": "{}", "query": ""}
    return {"body": pretty_json(event.payload), "query": urlencode(event.query, doseq=True)}


def urls(view: Callable[..., Any]) -> list[URLPattern]:
    return [path("<int:pk>/test-event/", view(send_page), name="connectors_connector_test")]
