"""The flow page and the edits that it makes. An edit is a POST with JSON that names the version of
the draft it was made on; its answer brings the parts of the page that have changed."""

import json
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe

from apps.builder.flow import flow_context, revisions
from apps.builder.links import crumbs, export_url, log_url, settings_url
from apps.builder.pages import page
from apps.builder.palette import palette
from apps.builder.permissions import may_change, may_view
from apps.builder.samples import newest_event
from apps.builder.schedules import in_words
from apps.connectors import draft
from apps.connectors.draft import StaleDraft, WrongOrder
from apps.connectors.models import Action, Connector, Step
from apps.connectors.publish import is_unchanged_again

BAR, CANVAS = "builder/flow/bar.html", "builder/flow/canvas.html"
REORDERED = "Check your filters again: the order of the steps has changed."

Edit = Callable[[Connector, dict[str, Any], int], str]


@require_safe
def flow_page(request: HttpRequest, pk: int) -> HttpResponse:
    if not may_view(request):
        raise PermissionDenied
    connector = find(pk)
    context = {
        **flow_context(connector),
        "crumbs": crumbs(connector),
        "title": connector.name,
        "may_change": may_change(request),
        "categories": palette() if may_change(request) else [],
        "revisions": revisions(connector)[:10],
        "newest_event": newest_event(connector.pk),
        "schedules": [(schedule, in_words(schedule)) for schedule in connector.schedules.all()],
        "crm_triggers": connector.crm_triggers.select_related("tag", "category", "attribute"),
        "settings_url": settings_url(connector.pk),
        "export_url": export_url(connector.pk),
        "events_url": log_url("event", connector.pk),
        "runs_url": log_url("run", connector.pk),
        "is_fullwidth": "1",
    }
    return page(request, "builder/flow/page.html", context)


def find(pk: int) -> Connector:
    return get_object_or_404(Connector.objects.select_related("published"), pk=pk)


# --- edits: each returns the sentence that the page says ----------------------------------------


def add_step(connector: Connector, sent: dict[str, Any], version: int) -> str:
    step = draft.add_step(connector, str(sent.get("name", "")), version)
    return f'Step "{step}" was added.'


def rename_step(connector: Connector, sent: dict[str, Any], version: int) -> str:
    draft.rename_step(connector, _step(connector, sent), str(sent.get("name", "")), version)
    return "The step was renamed."


def delete_step(connector: Connector, sent: dict[str, Any], version: int) -> str:
    step = _step(connector, sent)
    draft.delete_step(connector, step, version)
    return f'Step "{step}" was deleted.'


def delete_action(connector: Connector, sent: dict[str, Any], version: int) -> str:
    draft.delete_action(connector, _action(connector, sent), version)
    return "The action was deleted."


def switch_action(connector: Connector, sent: dict[str, Any], version: int) -> str:
    enabled = sent.get("enabled") is True
    draft.switch_action(connector, _action(connector, sent), enabled, version)
    return f"The action was switched {'on' if enabled else 'off'}."


def order_steps(connector: Connector, sent: dict[str, Any], version: int) -> str:
    draft.order_steps(connector, [int(pk) for pk in sent["order"]], version)
    return REORDERED


def order_actions(connector: Connector, sent: dict[str, Any], version: int) -> str:
    layout = {int(step): [int(pk) for pk in ids] for step, ids in sent["layout"].items()}
    draft.order_actions(connector, layout, version)
    return ""


def _step(connector: Connector, sent: dict[str, Any]) -> Step:
    return get_object_or_404(connector.steps, pk=int(sent["step"]))


def _action(connector: Connector, sent: dict[str, Any]) -> Action:
    return get_object_or_404(Action, step__connector=connector, pk=int(sent["action"]))


# --- how an edit is asked for and answered ------------------------------------------------------


def _edit_view(edit: Edit, parts: list[str]) -> Callable[..., HttpResponse]:
    @require_POST
    def view(request: HttpRequest, pk: int) -> HttpResponse:
        if not may_change(request):
            raise PermissionDenied
        connector = find(pk)
        try:
            sent = json.loads(request.body)
            message = edit(connector, sent, int(sent["version"]))
        except StaleDraft as error:
            return _refusal(409, str(error))
        except (ValidationError, WrongOrder) as error:
            text = error.messages[0] if isinstance(error, ValidationError) else str(error)
            return _refusal(422, text)
        except Http404:
            return _refusal(404, "That part of the flow is gone.")
        except (ValueError, KeyError, TypeError, AttributeError):
            return _refusal(400, "The request can't be read.")
        return _answer(request, connector, message, parts)

    return view


def _refusal(status: int, text: str) -> JsonResponse:
    return JsonResponse({"error": text}, status=status)


def _answer(
    request: HttpRequest, connector: Connector, message: str, parts: list[str]
) -> JsonResponse:
    context = {**flow_context(connector), "may_change": True}
    if not context["changed"]:
        is_unchanged_again(connector)
    html = [render_to_string(part, context, request) for part in parts]
    return JsonResponse({"version": connector.draft_version, "message": message, "html": html})


EDITS: dict[str, tuple[Edit, list[str]]] = {
    "add-step": (add_step, [BAR, CANVAS]),
    "rename-step": (rename_step, [BAR, CANVAS]),
    "delete-step": (delete_step, [BAR, CANVAS]),
    "order-steps": (order_steps, [BAR]),
    "delete-action": (delete_action, [BAR, CANVAS]),
    "switch-action": (switch_action, [BAR, CANVAS]),
    "order-actions": (order_actions, [BAR]),
}


def urls(view: Callable[..., Any]) -> list[URLPattern]:
    """The flow page at <id>/flow/ and its edits below."""
    flow = "<int:pk>/flow/"
    return [
        path(flow, view(flow_page), name="connectors_connector_flow"),
        *(
            path(f"{flow}{name}/", view(_edit_view(edit, parts)), name=f"flow_{name}")
            for name, (edit, parts) in EDITS.items()
        ),
    ]
