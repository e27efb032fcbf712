"""The run page leads to the requests that the run made."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from apps.actions.kinds.http_api import HttpApi
from apps.core.http.guard import AllowList
from apps.engine.cancel import cancel_runs
from apps.engine.models import Call, Run
from apps.engine.turn import take_turn
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


@pytest.fixture
def under_way(server, post):
    """A run whose request has left, and whose answer has not been taken up."""
    post(published([(HttpApi, {"label": "Charge", "url": f"{server.url}/charge"})]), {})
    take_turn()
    return Run.objects.get()


def question(client, run):
    return client.get(reverse("admin:engine_run_again", args=[run.pk]), {"from": 0}).text


def test_a_request_under_way_stands_on_the_page(under_way, admin_client, drain):
    shown = page(admin_client, under_way)
    assert "Requests under way" in shown and "Charge" in shown
    assert f'href="{log_of(Call.objects.get())}"' in shown
    drain()
    shown = page(admin_client, under_way)
    assert "under way" not in shown and shown.count("View the request") == 1


def test_a_request_that_was_under_way_when_its_run_ended_is_told(under_way, admin_client, drain):
    cancel_runs([under_way.pk], "By hand")
    drain()
    assert Call.objects.get().state == "answered"
    assert "Requests that were under way when the run ended" in page(admin_client, under_way)
    asked = question(admin_client, under_way)
    assert "A request left" in asked and "Not done so far." not in asked


def test_running_again_warns_of_an_unknown_outcome(server, post, drain, admin_client):
    server.answer = lambda request: None
    post(published([(HttpApi, {"url": server.url, "on_error": "stop"})]), {})
    drain()
    asked = question(admin_client, Run.objects.get())
    assert "A request left and its outcome is not known to the run" in asked
    assert "Not done so far." not in asked


def test_what_was_answered_is_no_unknown_outcome(asked, admin_client):
    shown = question(admin_client, asked)
    assert "Done once so far." in shown and "Not done so far." in shown
    assert "A request left" not in shown and "under way" not in page(admin_client, asked)
