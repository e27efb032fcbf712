"""The run page leads to the requests that the run made."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from apps.actions.kinds.http_api import HttpApi
from apps.core.http.guard import AllowList
from apps.engine.models import Call, Run
from tests.factories import published
from tests.servers import serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings):
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    settings.HTTP_PER_MINUTE = 0
    with serving() as made:
        yield made


@pytest.fixture
def asked(server, post, drain, clock):
    """A run with two actions that called, the second one of which tried twice."""
    server.answer = lambda request: (503 if request.path == "/b" else 200, {}, b"{}")
    retry = {"on_error": "retry", "retry_times": 1, "retry_wait": 60}
    calls = [(HttpApi, {"label": path, "url": f"{server.url}/{path}"}) for path in "ab"]
    calls[1][1].update(retry)
    post(published(calls), {})
    drain()
    clock.tick(seconds=60)
    drain()
    return Run.objects.get()


def log_of(call):
    action = HttpApi.objects.get(uid=call.action_uid)
    return reverse("admin:actions_httpapi_log", args=[action.pk, call.pk])


def page(client, run):
    return client.get(reverse("admin:engine_run_change", args=[run.pk])).text


def test_each_try_leads_to_its_own_request(asked, admin_client):
    shown = page(admin_client, asked)
    first, *tries = Call.objects.order_by("at", "request")
    assert len(tries) == 2 and shown.count("View the request") == 3
    places = [shown.index(f'href="{log_of(call)}"') for call in (first, *tries)]
    assert places == sorted(places)
    assert admin_client.get(log_of(first)).status_code == 200


def test_a_log_that_is_gone_or_has_lost_its_action_is_not_offered(asked, admin_client):
    Call.objects.filter(request__contains="/a").delete()
    assert page(admin_client, asked).count("View the request") == 2
    HttpApi.objects.all().delete()
    assert "View the request" not in page(admin_client, asked)


def test_who_may_not_read_logs_is_offered_none(asked, client, django_user_model):
    person = django_user_model.objects.create_user("p", password="x", is_staff=True)
    client.force_login(person)
    for permission in ("view_run", "view_connector"):
        person.user_permissions.add(Permission.objects.get(codename=permission))
    assert "View the request" not in page(client, asked)
    person.user_permissions.add(Permission.objects.get(codename="view_call"))
    assert page(client, asked).count("View the request") == 3
