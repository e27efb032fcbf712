"""HTTP API: a credential goes to the hosts that it lists, whatever the URL, an attribute or a
redirect says."""

import pytest

from apps.actions.kinds.http_api import HttpApi
from apps.connectors.publish import find_problems
from apps.core.http.guard import AllowList
from apps.core.models import Credential
from apps.engine.models import Attempt
from tests.actions.kinds.asking import row
from tests.actions.kinds.test_http_api_secrets import everything_stored
from tests.factories import CredentialFactory, StepFactory, published
from tests.servers import serving

pytestmark = pytest.mark.django_db
WAYS = ["bearer", "basic", "header", "query", "text"]
# Where it can stand as text, besides the URL.
TEXTS = {
    "json": {"body_type": "json", "body": '{"k": "{{ credential }}"}'},
    "form": {"body_type": "form", "fields": [row("k", "{{ credential }}")]},
    "multipart": {"body_type": "multipart", "fields": [row("k", "{{ credential }}")]},
    "row": {"body_type": "raw", "body": "<k>{{ credential }}</k>"},
    "harmless header": {"headers": [row("Accept", "{{ credential }}")]},
    "user agent": {"credential_as": "header", "credential_name": "User-Agent"},
}
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


def test_one_that_lists_nothing_goes_nowhere(server, post, drain):
    port = server.url.rpartition(":")[2]
    connector = published([asking("http://127.0.0.1:{{ event.port }}/", listed(server))])
    Credential.objects.update(hosts="")
    post(connector, {"port": port})
    drain()
    assert "may not go" in Attempt.objects.get().note and not server.asked


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


@pytest.mark.parametrize("where", TEXTS)
@pytest.mark.parametrize("status", [302, 307, 308])
def test_nor_does_a_repeated_body(server, other, happen, told, where, status):
    server.answer = lambda asked: (status, {"Location": f"{other.url}/b"}, b"")
    _, columns = asking(f"{server.url}/a", listed(server))
    columns |= {"method": "POST", "credential_as": "text", **TEXTS[where]}
    run = happen([(HttpApi, columns)])
    assert saw_the_secret(server) and not saw_the_secret(other)
    repeated = status != 302 and "body_type" in TEXTS[where]
    assert told(run, "http_api").result == ("failed" if repeated else "done")
    assert len(other.asked) == (0 if repeated else 1)


@pytest.mark.parametrize("spelled", ["s3cr/t-Kay+1", "s3cr%2Ft-Kay%2B1", "%73%33cr/t-Kay%2b1"])
def test_a_redirect_that_spells_it_is_not_followed(server, other, happen, told, spelled):
    server.answer = lambda asked: (302, {"Location": f"{other.url}/b?k={spelled}"}, b"")
    run = happen([asking(f"{server.url}/a", listed(server), "query")])
    assert "may not go." in told(run, "http_api").note and not other.asked


def test_names_are_compared_and_not_where_they_lead(server, happen, told, settings):
    """The name of another host that has the same address is another host."""
    settings.HTTP_ALLOW = AllowList.read(["localhost", "127.0.0.1"])
    url = server.url.replace("127.0.0.1", "{{ event.host }}")
    made = listed(server)
    run = happen([asking(url, made)], event={"host": "localhost"})
    assert "may not go to http://localhost" in told(run, "http_api").note and not server.asked
    run = happen([asking(url, made)], event={"host": "127.0.0.1"})
    assert told(run, "http_api").result == "done" and saw_the_secret(server)


# --- in the text ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "came"),
    [
        ({"url": "/{{ credential }}?a={{ credential }}"}, lambda a: a.path.endswith("Kay%2B1")),
        ({"url": "/bot{{ credential }}/send"}, lambda a: a.path == "/bots3cr/t-Kay+1/send"),
        ({"url": "/a?k={{credential}}"}, lambda a: a.path == "/a?k=s3cr%2Ft-Kay%2B1"),
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
    stored = list(everything_stored())
    for text in ("s3cr/t-Kay", "s3cr%2Ft", "\ue000"):
        assert not [one for one in stored if text in one]


def test_its_mark_leaves_for_nobody(server, happen, monkeypatch):
    """Where it is not sent as text, it is an attribute like any: one without a value."""
    monkeypatch.setattr("apps.connectors.publish.find_problems", lambda connector: [])
    text = {
        "headers": [row("X-A", "[{{ credential }}]")],
        "url": f"{server.url}/{{{{ credential }}}}",
    }
    happen([(HttpApi, {"label": "Ask", **text})])
    happen([(HttpApi, {"label": "Ask", **text, "credential_as": "text"})])
    happen([(HttpApi, {"label": "Ask", **text, "credential": listed(server)})])
    assert [(a.path, a.headers["X-A"]) for a in server.asked] == [("/", "[]")] * 3


@pytest.mark.parametrize(
    "url",
    [
        "http://{{ credential }}.x.example/",
        "http://{{ credential }}@x.example/",
        "{{ credential }}://x.example/",
        "https://{% comment %}/{% endcomment %}{{ credential }}.x.example/",
        "https://{% if false %}/{% endif %}{{ credential }}.x.example/",
        "http://127.0.0.1:{{ credential }}/",
    ],
)
def test_in_a_host_it_goes_nowhere_and_is_not_told(happen, told, url, monkeypatch):
    monkeypatch.setattr("apps.connectors.publish.find_problems", lambda connector: [])
    made = CredentialFactory(name="Shop", secret="AbCdEf-GhIjK99", hosts="*.x.example")
    run = happen(
        [(HttpApi, {"label": "Ask", "url": url, "credential": made, "credential_as": "text"})]
    )
    assert "can't stand in the host" in told(run, "http_api").note
    stored = [text for text in everything_stored() if "abcdef-ghijk99" in text.lower()]
    assert not stored


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
            "stands in the request: choose",
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
