"""The HTTP API's form: its Test, the mapping, the logs, the alert mail."""

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from apps.actions.http.alerts import HttpAlert
from apps.actions.http.mapping import HttpMapping
from apps.actions.kinds.http_api import HttpApi
from apps.builder.links import flow_url, kind_url
from apps.connectors.models import Action
from apps.core.http.guard import AllowList
from apps.engine.call_log import prune
from apps.engine.models import Call
from tests.builder.test_kind_forms import add_url, fields
from tests.factories import StepFactory, published
from tests.servers import serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings):
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    settings.HTTP_PER_MINUTE = 10
    with serving() as made:
        yield made


@pytest.fixture
def action(server):
    return HttpApi.objects.create(step=StepFactory(), label="Ask", url=f"{server.url}/old")


def sent(server, **values):
    return fields(HttpApi, url=f"{server.url}/ask", credential="", **values)


def press_test(client, action, values, **more):
    page = reverse("admin:actions_httpapi_test", args=[action.pk])
    return client.post(page, {**values, **more})


# --- Test -----------------------------------------------------------------------------------------


def test_the_form_is_tested_as_it_stands_and_not_saved(operator, server, action, post):
    post(action.step.connector, {"id": 7})
    server.says({"contact": {"id": 12}})
    body = {"body_type": "json", "body": '{"order": "{{ event.id }}"}'}
    answer = press_test(operator, action, sent(server, **body))
    assert answer.status_code == 200
    (asked,) = server.asked
    assert (asked.path, asked.json) == ("/ask", {"order": 7})
    assert asked.headers["Idempotency-Key"]
    page = answer.content.decode()
    assert "200 OK" in page and "contact.id" in page and "Content-Type" in page
    action.refresh_from_db()
    assert action.url.endswith("/old")
    call = Call.objects.get()
    assert (call.run_id, call.state, call.action_uid) == (None, "answered", action.uid)
    found = HttpMapping.objects.get(action_uid=action.uid)
    assert found.mapped_by_run is None and [".contact.id", "number"] in found.structure


def test_the_event_can_be_chosen(operator, server, action, post):
    for n in (1, 2):
        post(action.step.connector, {"n": n})
    first = action.step.connector.pk and min(
        event.pk for event in operator.get(kind_url(HttpApi, "change", action.pk)).context["events"]
    )
    values = sent(server, body_type="raw", body="{{ event.n }}")
    press_test(operator, action, values, event=first)
    assert server.asked[0].body == b"1"


def test_a_new_action_keeps_what_its_first_test_mapped(operator, server):
    step = StepFactory()
    server.says({"id": 1})
    page = operator.get(add_url(HttpApi, step)).content.decode()
    token = re.search(r'name="new_uid" value="([^"]+)"', page)[1]
    values = sent(server, new_uid=token)
    answer = operator.post(f"{reverse('admin:actions_httpapi_test_new')}?step={step.pk}", values)
    assert answer.status_code == 200 and not Action.objects.exists()
    for _ in range(2):  # a form sent twice makes two actions, and only one has the mapping
        operator.post(add_url(HttpApi, step), values)
    uids = set(Action.objects.values_list("uid", flat=True))
    assert len(uids) == 2 and HttpMapping.objects.get().action_uid in uids


def test_a_made_up_uid_is_not_taken(operator, server, action):
    values = sent(server, new_uid=str(uuid.uuid4()))
    operator.post(add_url(HttpApi, action.step), values)
    assert str(Action.objects.latest("pk").uid) != values["new_uid"]


def test_mistakes_in_the_form_are_told_and_nothing_is_asked(operator, server, action):
    answer = press_test(operator, action, sent(server, body_type="json", body='{"a": {{ b }}}'))
    assert answer.status_code == 422
    assert "The body is not valid JSON" in answer.content.decode()
    assert not server.asked and not Call.objects.exists()


def test_over_the_limit_a_test_fails_as_a_run_does(operator, server, action, settings):
    settings.HTTP_PER_MINUTE = 1
    for over_limit in ("fail", "wait"):
        page = press_test(operator, action, sent(server, over_limit=over_limit)).content.decode()
    assert "Rate Limit Exceeded" in page
    assert len(server.asked) == 1 and Call.objects.count() == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_lost_answer_is_told_and_not_asked_for_again(operator, server, action, method):
    server.answer = lambda asked: None
    page = press_test(operator, action, sent(server, method=method)).content.decode()
    assert len(server.asked) == 1
    assert Call.objects.get().state == "unknown"
    assert 'class="sb-error"' in page


def test_an_answer_that_is_no_json_says_so(operator, server, action):
    server.answer = lambda asked: (200, {}, b"<b>fine</b>")
    page = press_test(operator, action, sent(server)).content.decode()
    assert "Response Mapping Not Done, Only JSON can be mapped as Response" in page
    assert "&lt;b&gt;fine&lt;/b&gt;" in page


def test_a_failing_test_is_mailed(operator, server, action, settings):
    from django_q.models import OrmQ

    settings.EMAIL_HOST = "mail.example"
    server.says({}, status=500)
    for _ in range(2):
        press_test(operator, action, sent(server, alert_emails="ops@shop.example"))
    assert OrmQ.objects.count() == 1
    page = kind_url(HttpApi, "change", action.pk)
    assert "Reset Mail Timeout" in operator.get(page).content.decode()
    answer = operator.post(reverse("admin:actions_httpapi_reset_mail", args=[action.pk]))
    assert answer.url == page
    assert HttpAlert.objects.get().mailed_at is None
    assert "Reset Mail Timeout" not in operator.get(page).content.decode()


def test_earlier_answers_are_offered_and_used_in_tests(operator, server, action):
    server.says({"id": 12, "status": "new"})
    press_test(operator, action, sent(server))
    later = HttpApi.objects.create(step=action.step, position=1, url=f"{server.url}/b")
    context = operator.get(kind_url(HttpApi, "change", later.pk)).context
    samples = {attribute.path: attribute.sample for attribute in context["given_attributes"]}
    assert [one.path for one in context["earlier_values"]] == ["http.ask.status"]
    assert samples["http.ask.id"] == "12"
    assert samples["http.ask.body.status"] == "new"
    values = sent(server, body_type="raw", body="{{ http.ask.id }}")
    press_test(operator, later, values)
    assert server.asked[-1].body == b"12"
    own = operator.get(kind_url(HttpApi, "change", action.pk)).context["given_attributes"]
    assert own == []


# --- structure ------------------------------------------------------------------------------------


def test_a_changed_structure_is_told_and_remapped(operator, server, action):
    for answer in ({"id": 1}, {"number": 1}):
        server.says(answer)
        page = press_test(operator, action, sent(server)).content.decode()
    assert "JSON Structure Change Detected" in page
    form, flow = kind_url(HttpApi, "change", action.pk), flow_url(action.step.connector_id)
    for place in (form, flow):
        assert "JSON Structure Change Detected" in operator.get(place).content.decode()
    assert operator.post(reverse("admin:actions_httpapi_remap", args=[action.pk])).url == form
    assert HttpMapping.objects.get().structure == [[".number", "number"]]
    for place in (form, flow):
        assert "JSON Structure Change Detected" not in operator.get(place).content.decode()


# --- logs -----------------------------------------------------------------------------------------


def add_calls(action, count, state="answered", clock=None, **columns):
    made = []
    for n in range(count):
        at = {"at": clock.tick(seconds=1)} if clock else {}
        request = {"method": "GET", "url": f"http://x.example/{n}", "headers": [], "body": ""}
        row = Call(action_uid=action.uid, state=state, request=request, **at, **columns)
        row.response = {"status": 200, "reason": "OK", "headers": [], "body": "{}"}
        made.append(row)
    return Call.objects.bulk_create(made)


def test_logs_show_only_after_the_first_request(operator, action):
    page = kind_url(HttpApi, "change", action.pk)
    logs = reverse("admin:actions_httpapi_logs", args=[action.pk])
    assert logs not in operator.get(page).content.decode()
    add_calls(action, 1)
    assert logs in operator.get(page).content.decode()


def test_the_last_20_are_listed_with_view(operator, action, clock):
    add_calls(action, 25, clock=clock)
    add_calls(HttpApi.objects.create(step=action.step, url="x"), 1, clock=clock)
    page = operator.get(reverse("admin:actions_httpapi_logs", args=[action.pk]))
    shown = [call["row"].request["url"] for call in page.context["calls"]]
    assert shown == [f"http://x.example/{n}" for n in range(24, 4, -1)]
    text = page.content.decode()
    assert text.count(">View</a>") == 20 and ">Test</span>" in text


def test_pruning_keeps_20_and_the_unknown_and_the_last_minute(action, clock):
    other = HttpApi.objects.create(step=action.step, url="x")
    add_calls(action, 3, state="unknown", clock=clock)
    add_calls(action, 1, state="sending", clock=clock)
    add_calls(action, 50, clock=clock)
    add_calls(other, 5, clock=clock)
    assert prune() == 0
    clock.tick(hours=1)
    add_calls(action, 30, clock=clock)
    assert prune() == 50
    clock.tick(hours=1)
    assert prune() == 10
    kept = Call.objects.filter(action_uid=action.uid)
    assert kept.filter(state="answered").count() == 20
    assert kept.exclude(state="answered").count() == 4
    assert kept.filter(state="answered").earliest("at").at > clock.now - timedelta(
        hours=1, minutes=1
    )
    assert Call.objects.filter(action_uid=other.uid).count() == 5


def test_logs_of_runs_stay_over_revisions(operator, server, post, drain):
    connector = published([(HttpApi, {"label": "Ask", "url": f"{server.url}/one"})])
    post(connector, {})
    drain()
    action = HttpApi.objects.get()
    press_test(operator, action, sent(server))
    page = operator.get(reverse("admin:actions_httpapi_logs", args=[action.pk]))
    assert [call["row"].run_id is None for call in page.context["calls"]] == [True, False]


# --- who may --------------------------------------------------------------------------------------


def client_with(*codenames):
    user = User.objects.create_user(f"user{uuid.uuid4()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def test_only_who_may_edit_tests_and_reads_logs(operator, server, action):
    (call,) = add_calls(action, 1)
    viewer = client_with("view_connector")
    posts = ["test", "remap", "reset_mail"]
    pages = [reverse(f"admin:actions_httpapi_{name}", args=[action.pk]) for name in posts]
    for page in pages:
        assert viewer.post(page, sent(server)).status_code == 403
        assert operator.get(page).status_code == 405
        assert Client(enforce_csrf_checks=True).post(page).status_code in (302, 403)
    logs = reverse("admin:actions_httpapi_logs", args=[action.pk])
    log = reverse("admin:actions_httpapi_log", args=[action.pk, call.pk])
    for page in (logs, log):
        assert viewer.get(page).status_code == 403
        assert client_with("view_connector", "view_call").get(page).status_code == 200
    reader, form = (
        client_with("view_connector", "view_call"),
        kind_url(HttpApi, "change", action.pk),
    )
    assert logs in reader.get(form).content.decode()
    assert logs not in viewer.get(form).content.decode()
    assert "data-test=" not in viewer.get(form).content.decode()
    assert not server.asked


def test_what_is_not_there_is_not_found(operator, server, action):
    assert press_test(operator, HttpApi(pk=999), sent(server)).status_code == 404
    other = reverse("admin:actions_httpapi_log", args=[action.pk, uuid.uuid4()])
    assert operator.get(other).status_code == 404
    new = reverse("admin:actions_httpapi_test_new")
    assert operator.post(f"{new}?step=999", sent(server)).status_code == 404


# --- the form -------------------------------------------------------------------------------------


def test_the_form_speaks_the_words_of_the_page(operator, action):
    page = operator.get(kind_url(HttpApi, "change", action.pk)).content.decode()
    for words in (
        "Add Header",
        "Query String",
        ">JSON<",
        ">Row<",
        "Fallback",
        "Continue Further Steps",
        "Stop Executing Further Steps",
        "Alert email",
        "SWITCHBOARD_EMAIL_URL",
    ):
        assert words in page, words


@pytest.mark.parametrize(
    "emails, error",
    [
        ("x", '"x" is no email address.'),
        (", ".join(f"a{n}@x.example" for n in range(11)), "up to 10 email addresses"),
    ],
)
def test_alert_addresses_are_checked(operator, server, action, emails, error):
    page = kind_url(HttpApi, "change", action.pk)
    form = operator.post(page, sent(server, alert_emails=emails)).context["adminform"].form
    assert error in form.errors["alert_emails"][0]


def test_invalid_json_is_refused_at_save(operator, server, action):
    page = kind_url(HttpApi, "change", action.pk)
    values = sent(server, body_type="json", body="{")
    assert "body" in operator.post(page, values).context["adminform"].form.errors
    # An attribute with quotes of its own is read as it will be used: out of the JSON text.
    values["body"] = '{"name": "{{ event[\\"Full name\\"] }}"}'
    assert operator.post(page, values).status_code == 302
