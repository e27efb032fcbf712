"""The webhook behind the real server, with several processes and threads."""

import http.client
import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import urlsplit

import pytest

from tests.installation import installed

MAKE = """
from apps.actions.kinds.add_tag import AddTag
from tests.factories import published
made = [published([(AddTag, {"new_tags": "seen"})], dedupe_header="X-Event-Id") for _ in range(20)]
print(json.dumps([[connector.pk, connector.token] for connector in made]))
"""
PLAIN = """
from apps.actions.kinds.add_tag import AddTag
from tests.factories import published
made = published([(AddTag, {"new_tags": "seen"})], name="Plain")
print(json.dumps([made.pk, made.token]))
"""
NEW_URL = """
from apps.connectors.models import Connector
from apps.connectors.publish import generate_new_url
connector = Connector.objects.get(pk=%d)
generate_new_url(connector)
print(json.dumps(connector.token))
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def installation(request, tmp_path_factory):
    server = os.environ.get("TEST_DATABASE_URL", "")
    if request.param == "postgresql" and not server:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL server")
    home = tmp_path_factory.mktemp(request.param)
    with installed(home, server if request.param == "postgresql" else "") as made:
        made.connectors = iter(made.python(MAKE))
        made.on_postgresql = request.param == "postgresql"
        made.serve()
        yield made


@pytest.fixture
def connector(installation):
    """(id, token) of a connector of its own that dedupes by X-Event-Id and adds a tag."""
    return next(installation.connectors)


def stored(installation, connector_id):
    """How many events, runs and dedupe keys the connector has."""
    tables = ("engine_event", "engine_run", "engine_dedupekey")
    counts = [f"(SELECT count(*) FROM {t} WHERE connector_id = {connector_id})" for t in tables]
    return installation.query(f"SELECT {', '.join(counts)}")[0]


def ask(installation, token, body=b"", method="POST", **headers):
    connection = http.client.HTTPConnection(urlsplit(installation.url).netloc, timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"/hooks/{token}", body, headers)
    answer = connection.getresponse()
    status, text = answer.status, answer.read()
    connection.close()
    return status, json.loads(text)


def raw_request(installation, data):
    """Send bytes, say that no more will come, and return the status of the answer."""
    address = urlsplit(installation.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        return line.makefile("rb").readline().split()[1].decode()


def test_fifty_identical_events_at_once_make_one_run(installation, connector):
    pk, token = connector
    together = Barrier(50)

    def one(_):
        together.wait()
        return ask(installation, token, b'{"id": 7}', X_Event_Id="order-7")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))
    assert [status for status, _ in answers] == [202] * 50
    assert len({answer["event_id"] for _, answer in answers}) == 1
    assert sum(answer.get("duplicate", False) for _, answer in answers) == 49
    assert stored(installation, pk) == (1, 1, 1)


class InOnePiece(http.client.HTTPConnection):
    """Sends head and body in one packet, as curl and Node.js do. The express lane leaves a post
    whose body is still under way to the usual one."""

    held = b""

    def send(self, data):
        self.held += data

    def getresponse(self):
        super().send(self.held)
        self.held = b""
        return super().getresponse()


def test_many_posts_over_kept_connections_are_each_stored_once(installation):
    pk, token = installation.python(PLAIN)

    def hundred(number):
        connection = InOnePiece(urlsplit(installation.url).netloc, timeout=60)
        answers = []
        for n in range(100):
            connection.request("POST", f"/hooks/{token}", b'{"id": "%d-%d"}' % (number, n))
            answer = connection.getresponse()
            answers.append((answer.status, json.loads(answer.read())["event_id"], answer.headers))
        connection.close()
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for answers in pool.map(hundred, range(8)) for answer in answers]
    assert {status for status, _, _ in answers} == {202}
    assert len({event for _, event, _ in answers}) == 800
    assert stored(installation, pk)[:2] == (800, 800)
    bodies = installation.query(f"SELECT body FROM engine_event WHERE connector_id = {pk}")
    assert len(set(bodies)) == 800
    # The answers of the express lane are not gunicorn's.
    express = sum("Server" not in headers for _, _, headers in answers)
    assert express > 700 if installation.on_postgresql else express == 0


def test_a_new_url_is_in_force_at_once_in_every_process(installation, connector):
    pk, old = connector
    for _ in range(20):  # so that each process has remembered the old one
        assert ask(installation, old)[0] == 202
    new = installation.python(NEW_URL % pk)
    assert {ask(installation, old)[0] for _ in range(20)} == {404}
    assert {ask(installation, new)[0] for _ in range(20)} == {202}


def test_a_chunked_body_is_read(installation, connector):
    _, token = connector
    status, answer = ask(installation, token, iter([b'{"a":', b" 1}"]), Content_Type="text/json")
    assert status == 202
    (body,) = installation.query(f"SELECT body FROM engine_event WHERE id = {answer['event_id']}")
    assert body == ('{"a": 1}',)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_answered_while_it_is_sent(installation, connector, chunked):
    pk, token = connector
    large = b"x" * (5 * 1024 * 1024)
    status, answer = ask(installation, token, iter([large]) if chunked else large)
    assert (status, answer["detail"]) == (413, "The body is larger than 1,048,576 bytes.")
    assert stored(installation, pk) == (0, 0, 0)


def test_the_connection_serves_on_after_every_answer(installation, connector):
    _, token = connector
    connection = http.client.HTTPConnection(urlsplit(installation.url).netloc, timeout=60)
    for path, expected in [
        (f"/hooks/{'x' * 43}", 404),
        (f"/hooks/{token}", 202),
        (f"/hooks/{token}", 202),
    ]:
        connection.request("POST", path, b"[" + b"1," * 50_000 + b"1]")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == expected
    connection.close()


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"Content-Length: 100\r\n\r\n{}", id="shorter than announced"),
        pytest.param(b"Content-Length: abc\r\n\r\n{}", id="length is no number"),
        pytest.param(b"Content-Length: -5\r\n\r\n{}", id="negative length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", id="malformed chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", id="no last chunk"),
        pytest.param(
            b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            id="two lengths",
        ),
    ],
)
def test_a_body_that_does_not_arrive_whole_is_refused(installation, connector, rest):
    pk, token = connector
    head = f"POST /hooks/{token} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    assert raw_request(installation, head + rest) == "400"
    assert stored(installation, pk) == (0, 0, 0)


def test_no_token_is_written_to_the_log(installation, connector):
    _, token = connector
    unknown = "unknown-" + "x" * 35
    assert ask(installation, unknown)[0] == 404
    assert ask(installation, token, b"{", Content_Type="application/json")[0] == 400
    assert ask(installation, token, method="DELETE")[0] == 405
    log = installation.log.read_text()
    assert f"/hooks/{token[:4]}…" in log  # the refusal itself is there
    assert token not in log
    assert unknown not in log
