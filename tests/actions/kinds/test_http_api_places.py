"""HTTP API: a credential goes to the hosts that it lists, whatever the URL, an attribute or a
redirect says."""

import pytest

from apps.actions.kinds.http_api import HttpApi
from apps.connectors.publish import find_problems
from apps.core.http.guard import AllowList
from apps.core.models import Credential
from tests.actions.kinds.asking import row
from tests.factories import CredentialFactory, StepFactory
from tests.servers import serving

pytestmark = pytest.mark.django_db
WAYS = ["bearer", "basic", "header", "query", "text"]
SECRET = "s3cr/t-Kay+1"


@pytest.fixture
def other(server):
    with serving() as made:
        yield made


def listed(*servers, **columns):
    hosts = "\n".join(server.url for server in servers)
    return CredentialFactory(name="Shop", username="ana", secret=SECRET, hosts=hosts, **columns)


def asking(url, credential, how="bearer"):
    """An action that sends its credential in one of the ways there are."""
    columns = {"url": url, "method": "GET", "credential": credential, "credential_as": how}
    if how == "text":
        columns["url"] += "?k={{ credential }}"
    return HttpApi, {"label": "Ask", **columns, "credential_name": "X-Key"}


def saw_the_secret(server):
    spelled = ("s3cr/t-Kay+1", "s3cr%2Ft-Kay%2B1", "s3cr/t-Kay%2B1", "YW5hOnMzY3IvdC1LYXkrMQ==")
    seen = [f"{asked.path} {asked.headers} {asked.body!r}" for asked in server.asked]
    return any(text in one for one in seen for text in spelled)


@pytest.mark.parametrize("how", WAYS)
def test_it_goes_where_it_is_listed(server, happen, told, how):
    run = happen([asking(f"{server.url}/a", listed(server), how)])
    assert told(run, "http_api").result == "done" and saw_the_secret(server)


@pytest.mark.parametrize("how", WAYS)
def test_an_attribute_in_the_host_leads_it_nowhere_else(server, other, happen, told, how):
    url = "http://{{ event.host }}:{{ event.port }}/a"
    host, port = other.url.removeprefix("http://").split(":")
    run = happen([asking(url, listed(server), how)], event={"host": host, "port": port})
    note = told(run, "http_api").note
    assert note.startswith('The credential "Shop" may not go to http://127.0.0.1:')
    assert not other.asked


def test_an_attribute_in_the_host_may_choose_among_those_listed(server, other, happen, told):
    url = "http://127.0.0.1:{{ event.port }}/a"
    port = other.url.rpartition(":")[2]
    run = happen([asking(url, listed(server, other))], event={"port": port})
    assert told(run, "http_api").result == "done" and saw_the_secret(other)


def test_one_that_lists_nothing_goes_nowhere(server, happen, told):
    run = happen([asking("http://127.0.0.1:{{ event.port }}/", listed(server))], event={"port": 1})
    Credential.objects.update(hosts="")
    assert "may not go" in told(run, "http_api").note and not server.asked


def test_a_host_taken_off_the_list_counts_at_once(server, post, drain, happen, told):
    made = listed(server)
    run = happen([asking(f"{server.url}/a", made)])
    Credential.objects.update(hosts="elsewhere.example")
    post(run.connector, {})
    drain()
    assert len(server.asked) == 1


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_does_not_take_it_along(server, other, happen, how, status):
    server.answer = lambda asked: (status, {"Location": f"{other.url}/b"}, b"")
    happen([asking(f"{server.url}/a", listed(server), how)])
    assert len(other.asked) == 1 and not saw_the_secret(other)


@pytest.mark.parametrize("spelled", ["s3cr/t-Kay+1", "s3cr%2Ft-Kay%2B1", "%73%33cr/t-Kay%2b1"])
def test_a_redirect_that_spells_it_is_not_followed(server, other, happen, told, spelled):
    server.answer = lambda asked: (302, {"Location": f"{other.url}/b?k={spelled}"}, b"")
    run = happen([asking(f"{server.url}/a", listed(server), "query")])
    assert "may not go there" in told(run, "http_api").note and not other.asked


def test_names_are_compared_and_not_where_they_lead(server, happen, told, settings):
    """The name of another host that has the same address is another host."""
    settings.HTTP_ALLOW = AllowList.read(["localhost", "127.0.0.1"])
    url = server.url.replace("127.0.0.1", "localhost")
    run = happen([asking("{{ event.url }}", listed(server))], event={"url": url})
    # (What an attribute gives is encoded in a URL, so that one can't be a whole address.)
    assert told(run, "http_api").result == "failed" and not server.asked


# --- in the text ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "came"),
    [
        ({"url": "/bot{{ credential }}/send"}, lambda a: a.path == "/bots3cr/t-Kay+1/send"),
        ({"url": "/a?k={{credential}}"}, lambda a: a.path in ("/a?k=s3cr/t-Kay+1",)),
        (
            {"body_type": "json", "body": '{"key": "{{ credential }}", "n": "{{ event.n }}"}'},
            lambda a: a.json == {"key": SECRET, "n": 1},
        ),
        (
            {"body_type": "form", "fields": [row("pin", "{{ credential }}"), row("n", "1")]},
            lambda a: a.body == b"pin=s3cr%2Ft-Kay%2B1&n=1",
        ),
        (
            {"body_type": "raw", "body": "<pin>{{- credential -}}</pin>"},
            lambda a: a.body == b"<pin>s3cr/t-Kay+1</pin>",
        ),
        (
            {"body_type": "multipart", "fields": [row("pin", "{{ credential }}")]},
            lambda a: b"s3cr/t-Kay+1" in a.body,
        ),
        (
            {"headers": [row("X-Signed", "key={{ credential }}")]},
            lambda a: a.headers["X-Signed"] == "key=s3cr/t-Kay+1",
        ),
    ],
)
def test_it_may_stand_in_the_text_and_is_masked_there(server, happen, told, columns, came):
    server.answer = lambda asked: (200, {}, b'{"said": "s3cr/t-Kay+1"}')
    more = {"url": "/a", **columns}
    made = listed(server)
    action = (
        HttpApi,
        {
            "label": "Ask",
            "credential": made,
            "credential_as": "text",
            **more,
            "url": server.url + more["url"],
        },
    )
    run = happen([action], event={"n": 1})
    assert came(server.asked[0])
    entry = told(run, "http_api")
    assert entry.result == "done" and "•••" in str(entry.went_in)
    from tests.actions.kinds.test_http_api_secrets import everything_stored

    stored = list(everything_stored())
    for text in ("s3cr/t-Kay", "s3cr%2Ft", "\ue000"):
        assert not [one for one in stored if text in one]


# --- problems -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "hosts", "problem"),
    [
        ({"url": "https://a.example/"}, "", "may not go to a.example. Whoever may change"),
        ({"url": "http://a.example/"}, "a.example", "may not go to http://a.example."),
        ({"url": "https://{{ event.shop }}.a.example/"}, "", "lists no host"),
        (
            {"url": "https://a.example/", "credential_as": "text"},
            "a.example",
            "Write {{ credential }} where",
        ),
        (
            {"url": "https://a.example/{{ credential }}"},
            "a.example",
            "is filled in when the credential is sent as",
        ),
        (
            {"url": "https://{{ credential }}.a.example/", "credential_as": "text"},
            "*.a.example",
            "can't stand in the host",
        ),
        (
            {
                "url": "https://a.example/{{ credential }}{{ credential | upcase }}",
                "credential_as": "text",
            },
            "a.example",
            "stands alone",
        ),
    ],
)
def test_what_would_not_work_is_told_before_publishing(columns, hosts, problem):
    step = StepFactory()
    made = CredentialFactory(name="Shop", hosts=hosts)
    HttpApi.objects.create(step=step, credential=made, **columns)
    (found,) = find_problems(step.connector)
    assert problem in found.text and found.text.endswith((".", "}}"))


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://a.example/", "a.example"),
        ("https://{{ event.shop }}.a.example/", "*.a.example"),
        ("{{ event.url }}", "a.example"),
    ],
)
def test_a_credential_with_its_hosts_may_be_published(url, hosts):
    step = StepFactory()
    HttpApi.objects.create(step=step, url=url, credential=CredentialFactory(hosts=hosts))
    assert not find_problems(step.connector)
