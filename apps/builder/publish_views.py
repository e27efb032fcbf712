"""Publishing, and *Generate New URL*: each a page that asks and a POST that does it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from apps.builder.flow import flow_context, revisions
from apps.builder.flow_views import find
from apps.builder.links import crumbs, flow_url, settings_url
from apps.builder.pages import page
from apps.builder.permissions import may_change
from apps.connectors.models import Connector, Revision
from apps.connectors.publish import (
    NotPublishable,
    generate_new_url,
    has_unpublished_changes,
    publish,
)
from apps.core.clock import now
from apps.core.patience import patiently
from apps.engine.cancel import cancel_waiting, waiting_runs
from apps.engine.models import Ending

LEAVE, CANCEL = "leave", "cancel"
# How long the old URL goes on: value in the form → what it is called, and the time.
OVERLAPS = {
    "": ("Dead at once", None),
    "1h": ("Works for 1 hour", timedelta(hours=1)),
    "24h": ("Works for 24 hours", timedelta(hours=24)),
    "7d": ("Works for 7 days", timedelta(days=7)),
}
CHANGED = "The flow was changed since this page was opened. Look at it again, then publish."


@require_http_methods(["GET", "HEAD", "POST"])
def publish_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Publish, or ask first what becomes of the runs that wait."""
    if not may_change(request):
        raise PermissionDenied
    connector = find(pk)
    if request.method == "POST" and not _must_ask(request, connector):
        return _publish(request, connector)
    newest = revisions(connector).first()
    context = {
        **flow_context(connector),
        "crumbs": crumbs(connector, "Publish"),
        "title": "Publish",
        "newest": newest.number if newest else 0,
        "number": newest.number + 1 if newest else 1,
        "flow_url": flow_url(connector.pk),
        "unanswered": request.method == "POST",
    }
    return page(request, "builder/publish.html", context)


def _must_ask(request: HttpRequest, connector: Connector) -> bool:
    answered = request.POST.get("waiting") in (LEAVE, CANCEL)
    return not answered and waiting_runs(connector.pk) > 0


def _publish(request: HttpRequest, connector: Connector) -> HttpResponse:
    flow = HttpResponseRedirect(flow_url(connector.pk))
    try:
        revision, ending = patiently(lambda: _published(request, connector))
    except Refused as refused:
        messages.add_message(request, refused.level, str(refused))
    else:
        note = f"Revision {revision.number} is live."
        messages.success(request, f"{note} {cancelled(ending)}" if ending else note)
    return flow


class Refused(Exception):
    """Nothing is published; the message is a sentence that says why."""

    def __init__(self, text: str, level: int = messages.ERROR) -> None:
        super().__init__(text)
        self.level = level


def _published(request: HttpRequest, connector: Connector) -> tuple[Revision, Ending | None]:
    """In one transaction: the revision, and what becomes of the runs that wait for another one."""
    locked = Connector.objects.select_for_update().get(pk=connector.pk)
    if request.POST.get("version") != str(locked.draft_version):
        raise Refused(CHANGED)
    if not has_unpublished_changes(locked):
        raise Refused("There is nothing to publish: the flow has not changed.", messages.INFO)
    try:
        revision = publish(locked, request.user)
    except NotPublishable:
        raise Refused("Not published: the flow has problems. They are listed below.") from None
    log(request, connector, f"Published revision {revision.number}.")
    if request.POST.get("waiting") != CANCEL:
        return revision, None
    note = f"Cancelled when revision {revision.number} was published."
    return revision, cancel_waiting(locked, note, **by_user(request))


def by_user(request: HttpRequest) -> dict[str, Any]:
    return {"cause": "user", "cause_id": request.user.pk}


def cancelled(ending: Ending) -> str:
    """What is said of runs that were cancelled, or are about to be."""
    kind = "waiting run" if ending.which == Ending.Which.WAITING else "run"
    count = ending.total or 0
    runs = f"{count:,} {kind}{'' if count == 1 else 's'}"
    if ending.state == Ending.State.DONE:
        return f"{runs} {'was' if count == 1 else 'were'} cancelled."
    return f"{runs} are being cancelled. Cancellations, in the menu, shows how far that has come."


@require_http_methods(["GET", "HEAD", "POST"])
def new_url_page(request: HttpRequest, pk: int) -> HttpResponse:
    """*Generate New URL*: the old address is dead at once, or works for a while yet."""
    if not may_change(request):
        raise PermissionDenied
    connector = find(pk)
    if request.method == "POST":
        # What is not on the form leaves nothing open.
        title, overlap = OVERLAPS.get(request.POST.get("overlap", ""), OVERLAPS[""])
        generate_new_url(connector, overlap)
        log(request, connector, f"Generated a new URL. The old one: {title.lower()}.")
        messages.success(request, "The webhook has a new URL. Give it to the software that posts.")
        return HttpResponseRedirect(settings_url(connector.pk))
    until = connector.previous_token_until
    context = {
        "connector": connector,
        "crumbs": crumbs(connector, "Generate New URL"),
        "title": "Generate New URL",
        "settings_url": settings_url(connector.pk),
        "choices": [(value, title) for value, (title, _) in OVERLAPS.items()],
        "old_until": until if until and until > now() else None,
    }
    return page(request, "builder/new_url.html", context)


def log(request: HttpRequest, connector: Connector, text: str) -> None:
    """An entry in the connector's history."""
    LogEntry.objects.log_actions(
        request.user.pk, [connector], CHANGE, change_message=text, single_object=True
    )


def urls(view: Callable[..., Any]) -> list[URLPattern]:
    return [
        path("<int:pk>/publish/", view(publish_page), name="connectors_connector_publish"),
        path("<int:pk>/new-url/", view(new_url_page), name="connectors_connector_new_url"),
    ]
