"""Test, logs, *Remap* and *Reset Mail Timeout* of an HTTP API action."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from apps.actions.http import alerts, mapping, trial
from apps.actions.http.answers import NOT_JSON
from apps.actions.http.mapping import HttpMapping
from apps.actions.kinds.http_api import HttpApi
from apps.builder.links import crumbs, kind_url
from apps.builder.pages import page
from apps.builder.permissions import may_change, may_view
from apps.builder.samples import find_event
from apps.connectors.models import Action, Connector
from apps.connectors.outcomes import Failed
from apps.connectors.publish import Problem
from apps.core.liquid import as_text
from apps.core.readable import duration, pretty_json
from apps.engine.call_log import newest
from apps.engine.models import Call


def find(pk: int) -> HttpApi:
    found = HttpApi.objects.select_related("step__connector", "credential").filter(pk=pk).first()
    if found is None:
        raise Http404("There is no such action.")
    return found


# --- Test -----------------------------------------------------------------------------------------


@require_POST
def test(request: HttpRequest, form: Any, pk: int | None = None) -> HttpResponse:
    """Make the request that the form describes; the answer is a piece of the form's page."""
    if not may_change(request):
        raise PermissionDenied
    filled_in, step, action = form.unsaved(request, pk)
    if action is None:
        errors = [
            (filled_in.fields[name].label if name in filled_in.fields else "", text)
            for name, texts in filled_in.errors.items()
            for text in texts
        ]
        return render(request, "builder/http_api/trial.html", {"errors": errors}, status=422)
    wrong = [("", text) for text in action.misuses()]
    if wrong:
        return render(request, "builder/http_api/trial.html", {"errors": wrong}, status=422)
    event = find_event(step.connector_id, request.POST.get("event", ""))
    tried = trial.try_out(action, step.connector, event, form.samples(step, pk))
    found = mapping.of(action.uid)
    context = {
        "failed": isinstance(tried.outcome, Failed),
        "note": tried.outcome.note,
        "missing": tried.missing,
        "call": shown(tried.row) if tried.row else None,
        "not_json": NOT_JSON in tried.outcome.note,
        "changed": mapping.CHANGED in tried.outcome.note,
        "mapping": found,
        "mapped": mapped_paths(found),
        "key": action.key,
        "saved": pk is not None,
    }
    return render(request, "builder/http_api/trial.html", context)


def mapped_paths(found: HttpMapping | None) -> list[tuple[str, str, str]]:
    """(path, types, sample) for people, of everything that holds a value."""
    if found is None:
        return []
    types: dict[str, list[str]] = {}
    for path, kind in found.structure:
        types.setdefault(path, []).append(kind)
    return [
        (path.removeprefix("."), " or ".join(kinds), _sample(found.sample, path))
        for path, kinds in types.items()
        if kinds != ["object"] and not (kinds == ["array"] and f"{path}[]" in types)
    ]


def _sample(value: Any, path: str) -> str:
    """The first value that stands at a path of a structure."""
    while path:
        if path.startswith("[]"):
            key, path = 0, path[2:]
        elif path.startswith('["'):
            key, length = json.JSONDecoder().raw_decode(path, 1)
            path = path[length + 1 :]
        else:
            name = path[1:].partition(".")[0].partition("[")[0]
            key, path = name, path[1 + len(name) :]
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return ""
    return as_text(value)[:100]


# --- logs -----------------------------------------------------------------------------------------


def may_read(request: HttpRequest) -> bool:
    """Requests and answers hold what customers wrote: seeing the flow is not enough."""
    return may_change(request) or (may_view(request) and request.user.has_perm("engine.view_call"))


@require_safe
def logs(request: HttpRequest, pk: int) -> HttpResponse:
    if not may_read(request):
        raise PermissionDenied
    action = find(pk)
    context = {
        **_head(action, "Logs"),
        "calls": [shown(call) for call in newest(action.uid)],
        "pk": pk,
    }
    return page(request, "builder/http_api/logs.html", context)


@require_safe
def log(request: HttpRequest, pk: int, call: UUID) -> HttpResponse:
    if not may_read(request):
        raise PermissionDenied
    action = find(pk)
    row = Call.objects.filter(pk=call, action_uid=action.uid).first()
    if row is None:
        raise Http404("This log is gone: only the last 20 are kept.")
    context = {**_head(action, "Logs", "View"), "call": shown(row), "pk": pk}
    return page(request, "builder/http_api/log.html", context)


def _head(action: HttpApi, *trail: str) -> dict[str, Any]:
    return {
        "action": action,
        "title": f"{trail[-1]}: {action}",
        "crumbs": crumbs(action.step.connector, action.step.name, str(action), *trail),
        "back": kind_url(HttpApi, "change", action.pk),
    }


def shown(call: Call) -> dict[str, Any]:
    """A log as the pages show it."""
    response = call.response or {}
    bad = call.state == Call.State.FAILED or response.get("status", 0) >= 400
    return {
        "row": call,
        "badge": "failed" if bad else {"answered": "done"}.get(call.state, call.state),
        "result": f"{response['status']} {response['reason']}".strip()
        if response
        else call.get_state_display(),
        "took": duration(timedelta(microseconds=call.took_us)) if call.took_us else "",
        "request_body": _readable(call.request.get("body", "")),
        "response_body": _readable(response.get("body", "")),
    }


def _readable(body: str) -> str:
    try:
        return pretty_json(json.loads(body))
    except (ValueError, RecursionError):
        return body


# --- buttons --------------------------------------------------------------------------------------


@require_POST
def remap(request: HttpRequest, pk: int) -> HttpResponse:
    if not may_change(request):
        raise PermissionDenied
    action = find(pk)
    found = mapping.of(action.uid)
    if found is not None and found.has_changed:
        found.remap()
        messages.success(request, "The response was mapped anew. Later steps read it from now on.")
    return HttpResponseRedirect(kind_url(HttpApi, "change", pk))


@require_POST
def reset_mail(request: HttpRequest, pk: int) -> HttpResponse:
    if not may_change(request):
        raise PermissionDenied
    alerts.reset(find(pk).uid)
    messages.success(request, "The next failure is mailed at once.")
    return HttpResponseRedirect(kind_url(HttpApi, "change", pk))


def structure_changes(connector: Connector) -> list[Problem]:
    """Notices for the flow page: what does not keep the draft from being published."""
    actions = {
        action.uid: action
        for action in Action.objects.filter(step__connector=connector, kind=HttpApi.slug)
    }
    changed = HttpMapping.objects.filter(action_uid__in=actions, changed_at__isnull=False)
    return [
        Problem(mapping.CHANGED, str(actions[row.action_uid]), actions[row.action_uid].pk)
        for row in (changed if actions else [])
    ]
