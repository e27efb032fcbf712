"""Choosing a credential: who may, where it may then go, and what the form asks."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from apps.actions.http.checks import host_of
from apps.actions.kinds.http_api import HttpApi
from apps.builder.links import kind_url
from apps.connectors.models import Connector
from apps.core.http.guard import AllowList
from apps.core.models import Credential
from apps.engine.models import Call
from tests.builder.test_http_api_pages import press_test
from tests.builder.test_kind_forms import add_url, fields
from tests.factories import CredentialFactory, StepFactory
from tests.servers import serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings):
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    settings.HTTP_PER_MINUTE = 10
    with serving() as made:
        made.answer = lambda asked: (200, {}, json.dumps(asked.headers).encode())
        yield made


@pytest.fixture
def allow(operator):
    """Give the operator rights on credentials: `allow("view", "change")`."""

    def act(*rights):
        codes = [f"{right}_credential" for right in rights]
        operator_user = User.objects.get(username="operator")
        operator_user.user_permissions.add(*Permission.objects.filter(codename__in=codes))

    return act


@pytest.fixture
def shop():
    return CredentialFactory(name="Till key", secret="s3cret-value")


@pytest.fixture
def action(server):
    return HttpApi.objects.create(step=StepFactory(), label="Ask", url=f"{server.url}/old")


def sent(server, shop, **values):
    return fields(HttpApi, url=f"{server.url}/ask", credential=shop.pk, **values)


# --- who may choose -------------------------------------------------------------------------------


def test_who_may_not_use_credentials_chooses_none(operator, server, shop, action):
    page = kind_url(HttpApi, "change", action.pk)
    assert "Till key" not in operator.get(page).content.decode()
    for answer in (
        operator.post(page, sent(server, shop)),
        operator.post(add_url(HttpApi, action.step), sent(server, shop)),
        press_test(operator, action, sent(server, shop)),
    ):
        assert "Select a valid choice" in answer.content.decode()
    action.refresh_from_db()
    assert action.credential is None and not server.asked


def test_who_may_not_use_credentials_can_leave_one_or_take_it_out(operator, server, shop, action):
    HttpApi.objects.update(credential=shop)
    page = kind_url(HttpApi, "change", action.pk)
    other = CredentialFactory(name="Bank")
    assert "Bank" not in operator.get(page).content.decode()
    assert operator.post(page, sent(server, other)).status_code == 200
    assert operator.post(page, sent(server, shop)).status_code == 302
    assert HttpApi.objects.get().credential == shop
    assert operator.post(page, {**sent(server, shop), "credential": ""}).status_code == 302
    assert HttpApi.objects.get().credential is None


def test_so_it_is_with_a_connectors_own(operator, shop):
    connector = Connector.objects.create(name="Orders")
    page = reverse("admin:connectors_connector_change", args=[connector.pk])
    assert "Till key" not in operator.get(page).content.decode()
    answer = operator.post(page, {"name": "Orders", "auth": "header", "credential": shop.pk})
    assert "Select a valid choice" in answer.content.decode()
    connector.refresh_from_db()
    assert connector.credential is None


@pytest.mark.parametrize(
    "changed",
    [
        {"credential_as": "text", "body_type": "raw", "body": "{{ credential }}"},
        {"credential_as": "query", "credential_name": "text"},
        {"credential_as": "header", "credential_name": "X-Note"},
    ],
)
def test_nor_do_they_move_one_to_where_it_can_be_read(operator, server, shop, action, changed):
    """Chosen by somebody else for a host: in a message there, it would be read."""
    shop.allow(host_of(server.url))
    shop.save()
    HttpApi.objects.update(credential=shop)
    values = sent(server, shop, **changed)
    page = kind_url(HttpApi, "change", action.pk)
    for answer in (operator.post(page, values), press_test(operator, action, values)):
        assert "you may not use credentials" in answer.content.decode()
    assert not server.asked


def test_nor_do_they_rewrite_texts_in_which_one_stands(operator, server, shop, action):
    kept = {"credential_as": "text", "body_type": "raw", "body": "key={{ credential }}"}
    HttpApi.objects.update(credential=shop, url=f"{server.url}/ask", **kept)
    page = kind_url(HttpApi, "change", action.pk)
    values = sent(server, shop, **kept)
    for name, value in (("body", "text={{ credential }}"), ("url", f"{server.url}/notes")):
        answer = operator.post(page, {**values, name: value})
        assert "you may not use credentials" in answer.content.decode()
    assert operator.post(page, {**values, "label": "Named"}).status_code == 302


# --- where it may go ------------------------------------------------------------------------------


def test_the_first_use_asks_whether_it_may_go_there(operator, allow, server, shop, action):
    allow("view", "change")
    page = kind_url(HttpApi, "change", action.pk)
    asked = f'The credential "Till key" may not go to {server.url} yet. Tick this to let it.'
    for answer in (
        operator.post(page, sent(server, shop)),
        press_test(operator, action, sent(server, shop)),
    ):
        assert asked.replace('"', "&quot;") in answer.content.decode()
    assert not server.asked and not shop.places()

    assert operator.post(page, sent(server, shop, may_go="on")).status_code == 302
    shop.refresh_from_db()
    assert shop.places() == (host_of(server.url),)
    entry = LogEntry.objects.filter(content_type__model="credential").get()
    assert server.url in entry.get_change_message()
    # Once for each host.
    assert operator.post(page, sent(server, shop)).status_code == 302


def test_a_test_asks_as_well_and_shows_no_secret(operator, allow, server, shop, action):
    allow("view", "change")
    page = press_test(operator, action, sent(server, shop, may_go="on")).content.decode()
    assert not Credential.objects.get().hosts  # for this once: nothing was saved
    assert server.asked[0].headers["Authorization"] == "Bearer s3cret-value"
    assert "s3cret" not in page and "•••" in page
    view = reverse("admin:actions_httpapi_log", args=[action.pk, Call.objects.get().pk])
    assert "s3cret" not in operator.get(view).content.decode()


def test_a_test_is_no_way_round(operator, allow, server, shop, action):
    """Whoever may use a credential and not change it decides nothing about its hosts."""
    allow("view")
    for values in ({}, {"may_go": "on"}):
        page = press_test(operator, action, sent(server, shop, **values)).content.decode()
        assert "may not go to" in page and "Whoever may change credentials" in page
    HttpApi.objects.update(credential=shop)
    elsewhere = {**sent(server, shop), "url": "http://{{ event.host }}/", "event": ""}
    press_test(operator, action, elsewhere)
    assert not server.asked and not Credential.objects.get().hosts


def test_hosts_that_attributes_decide_are_listed_at_the_credential(operator, allow, shop, action):
    allow("view", "change")
    values = fields(HttpApi, url="https://{{ event.h }}/", credential=shop.pk)
    page = kind_url(HttpApi, "change", action.pk)
    answer = operator.post(page, {**values, "may_go": "on"})
    assert "list it at the credential" in answer.content.decode()
    assert operator.post(page, values).status_code == 302


def test_the_list_of_a_credential_is_read_strictly(admin_client):
    page = reverse("admin:core_credential_add")
    values = {"name": "Shop", "kind": "key", "username": "", "secret": "abc"}
    answer = admin_client.post(page, {**values, "hosts": "https://a.example/path"})
    assert "is no host: write it like api.shop.example." in answer.content.decode()
    admin_client.post(page, {**values, "hosts": "https://A.example\r\n*.b.example"})
    assert Credential.objects.get().hosts == "a.example\n*.b.example"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"credential_as": "header"}, "Name the header"),
        ({"credential_as": "query"}, "Name the parameter"),
        ({"credential_as": "basic"}, "no user name"),
        ({"credential_as": "text"}, "Write {{ credential }} where"),
        ({"body_type": "raw", "body": "{{ credential }}"}, "choose Text, where"),
        (
            {"credential": "", "body_type": "raw", "body": "{{ credential }}"},
            "choose a credential.",
        ),
    ],
)
def test_a_test_says_first_what_is_wrong_with_it(
    operator, allow, server, shop, action, changed, sentence
):
    allow("view", "change")
    values = {**sent(server, shop, may_go="on"), **changed}
    page = press_test(operator, action, values).content.decode()
    assert "Not sent" in page and sentence in page and not server.asked


def test_who_may_only_view_one_sees_when_it_was_set(operator, allow, shop):
    allow("view")
    page = operator.get(reverse("admin:core_credential_change", args=[shop.pk])).content.decode()
    assert "Secret set at" in page and "Leave it empty to keep it" not in page


# --- what looks like a secret ---------------------------------------------------------------------


def test_the_form_asks_whether_it_is_one(operator, server, action):
    page = kind_url(HttpApi, "change", action.pk)
    assert "It is no secret" not in operator.get(page).content.decode()
    body = {"body_type": "raw", "body": "550e8400-e29b-41d4-a716-446655440000"}
    values = fields(HttpApi, url=f"{server.url}/ask", credential="", **body)
    assert operator.post(page, values).status_code == 302
    assert "looks like a secret (550e…)" in operator.get(page).content.decode()

    assert operator.post(page, {**values, "no_secret": "on"}).status_code == 302
    assert not HttpApi.objects.get().exposed()
    assert "It is no secret" not in operator.get(page).content.decode()


def test_what_is_typed_in_with_the_answer_was_not_asked_about(operator, server, action):
    body = {"body_type": "raw", "body": "550e8400-e29b-41d4-a716-446655440000"}
    HttpApi.objects.update(**body)
    values = fields(HttpApi, url=f"{server.url}/ask", credential="", **body)
    other = {**values, "body": "450e8400-e29b-41d4-a716-446655440000", "no_secret": "on"}
    page = kind_url(HttpApi, "change", action.pk)
    assert operator.post(page, other).status_code == 302
    assert len(HttpApi.objects.get().exposed()) == 1
