"""What no HTTP library sends, over a bare socket to the real server: always a clear answer, never
a 5xx, never a wait without end, and nothing lost that was answered 2xx."""

import json
import os
import re
import select
import socket
from urllib.parse import urlsplit

import pytest

from tests.installation import installed

MAKE = """
from apps.actions.kinds.add_tag import AddTag
from tests.factories import published
made = published([(AddTag, {"new_tags": "seen"})])
print(json.dumps([made.pk, made.token]))
"""
TOKEN = b"<token>"  # replaced by the real one
HOST = b"Host: 127.0.0.1\r\n"
LINE = b"POST /hooks/<token> HTTP/1.1\r\n"
HEAD = LINE + HOST
TWO = b"Content-Length: 2\r\n\r\n{}"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request, tmp_path_factory):
    server = os.environ.get("TEST_DATABASE_URL", "")
    if request.param == "postgresql" and not server:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL server")
    home = tmp_path_factory.mktemp(request.param)
    with installed(home, server if request.param == "postgresql" else "") as made:
        made.env["SWITCHBOARD_REQUEST_SECONDS"] = "1"
        made.connector, made.token = made.python(MAKE)
        made.serve()
        yield made
        log = made.log.read_text()
        assert made.token not in log
        assert "Traceback" not in log and " ERROR " not in log


def runs(served):
    """The events that have runs, the oldest first."""
    return [pk for (pk,) in served.query("SELECT event_id FROM engine_run ORDER BY id")]


def dial(served):
    address = urlsplit(served.url)
    return socket.create_connection((address.hostname, address.port), timeout=60)


def talk(served, data, says_goodbye=True):
    """Send bytes; everything that comes back until the server hangs up."""
    with dial(served) as line:
        try:
            line.sendall(data.replace(TOKEN, served.token.encode()))
            if says_goodbye:
                line.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it hung up already: what it said can still be read
        return heard(line)


def heard(line):
    said = b""
    while part := line.recv(65536):
        said += part
    return said


def statuses(said):
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", said)]


def check(said):
    """Each answer is JSON; refusals say why in a sentence."""
    for answer in re.split(rb"HTTP/1\.[01] ", said)[1:]:
        status, body = int(answer[:3]), re.search(rb"\{.*\}", answer, re.DOTALL)
        if body is None:
            assert status in (100, 405)  # the answer to HEAD has no body
            continue
        told = json.loads(body.group())
        assert told["status"] == ("ok" if status == 202 else "error")
        assert status == 202 or re.fullmatch(r"[A-Z].+\.", told["detail"])


def lengths(value):
    return HEAD + b"Content-Length: " + value + b"\r\n\r\n{}"


def header(value):
    return HEAD + value + b"\r\n" + TWO


def line(method=b"POST", target=b"/hooks/<token>", version=b"HTTP/1.1"):
    return method + b" " + target + b" " + version + b"\r\n" + HOST + TWO


CASES = [
    # --- lengths
    ("as it should be", HEAD + TWO, [202]),
    ("length too long", lengths(b"9"), [400]),
    ("length too short", lengths(b"1"), [400]),
    ("no length but a body", HEAD + b"\r\n{}", [202]),
    ("two lengths alike", header(b"Content-Length: 2"), [400]),
    ("two lengths apart", header(b"Content-Length: 3"), [400]),
    ("a list of lengths", lengths(b"2, 2"), [400]),
    ("a negative length", lengths(b"-2"), [400]),
    ("a length with a sign", lengths(b"+2"), [400]),
    ("a length with an underscore", lengths(b"0_2"), [400]),
    ("a hexadecimal length", lengths(b"0x2"), [400]),
    ("a length in other digits", lengths("٢".encode()), [400]),
    ("an empty length", lengths(b""), [400]),
    ("a vast length", lengths(b"9" * 30), [400]),
    ("a length of 5,000 digits", lengths(b"9" * 5000), [400]),
    # --- chunks
    ("chunks", CHUNKED + b"1\r\n{\r\n1;x=y\r\n}\r\n" + END, [202]),
    ("chunks with a trailer", CHUNKED + b"2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n", [202]),
    ("no chunk at all", CHUNKED, [400]),
    ("no last chunk", CHUNKED + b"2\r\n{}\r\n", [400]),
    ("half a chunk", CHUNKED + b"9\r\n{}", [400]),
    ("a chunk of no number", CHUNKED + b"zz\r\n{}\r\n" + END, [400]),
    ("a negative chunk", CHUNKED + b"-2\r\n{}\r\n" + END, [400]),
    ("a vast chunk", CHUNKED + b"f" * 20 + b"\r\n{}\r\n" + END, [400]),
    ("a chunk without its end", CHUNKED + b"2\r\n{}" + END, [400]),
    ("a long chunk extension", CHUNKED + b"2;" + b"a" * 100_000 + b"\r\n{}\r\n" + END, [400]),
    ("chunks beyond the limit", CHUNKED + b"200000\r\n" + b"x" * 0x200000 + b"\r\n" + END, [413]),
    ("a million tiny chunks", CHUNKED + b"1\r\n1\r\n" * 1_000_000 + END, [400]),
    # --- two readings of one request
    ("length and chunks", header(b"Transfer-Encoding: chunked"), [400]),
    ("chunks that are not", header(b"Transfer-Encoding: xchunked"), [400]),
    ("chunks behind a blank", header(b"Transfer-Encoding : chunked"), [400]),
    ("chunks behind a tab", header(b"Transfer-Encoding: \x0bchunked"), [400]),
    ("identity", header(b"Transfer-Encoding: identity"), [400]),
    ("chunks twice", header(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), [400]),
    ("chunks in HTTP/1.0", CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + END, [400]),
    ("a body that is a request", HEAD + b"Content-Length: 0\r\n\r\n" + HEAD + TWO, [202, 202]),
    ("three in a row", (HEAD + TWO) * 3, [202, 202, 202]),
    ("a good one behind a bad one", lengths(b"x") + HEAD + TWO, [400]),
    # --- headers
    ("expecting to go on", header(b"Expect: 100-continue"), [100, 202]),
    ("expecting something odd", header(b"Expect: tea"), [417]),
    ("90 headers", header(b"\r\n".join(b"X-%d: 1" % n for n in range(90))), [202]),
    ("200 headers", header(b"\r\n".join(b"X-%d: 1" % n for n in range(200))), [431]),
    ("a header of 8,000 bytes", header(b"X-A: " + b"a" * 8000), [202]),
    ("a header of 2 MB", header(b"X-A: " + b"a" * 2_000_000), [431]),
    ("NUL in a header", header(b"X-A: a\0b"), [400]),
    ("a line end in a header", header(b"X-A: a\rb"), [400]),
    ("a folded header", header(b"X-A: a\r\n b"), [400]),
    ("a header without a colon", header(b"X-A"), [400]),
    ("a blank in a header's name", header(b"X A: a"), [400]),
    ("an underscore in a header's name", header(b"X_A: a"), [202]),
    ("a header of bytes", header(b"X-A: \xff\xed\xa0\x80"), [202]),
    ("cookies of bytes", header(b'Cookie: sessionid=\xff; a=;;;="'), [202]),
    ("a content type of bytes", header(b"Content-Type: \xff\xed\xa0\x80"), [202]),
    ("two content types", header(b"Content-Type: a/b\r\nContent-Type: c/d"), [400]),
    ("another address in a header", header(b"SCRIPT_NAME: /hooks\r\nPATH_INFO: /x"), [202]),
    ("a rewritten address", header(b"X-Original-URL: /admin/\r\nX-Rewrite-URL: /x"), [202]),
    ("odd forwarding", header(b"X-Forwarded-For: \xff\r\nForwarded: for=;;;"), [202]),
    ("another method in a header", header(b"X-HTTP-Method-Override: DELETE"), [202]),
    ("an upgrade", header(b"Connection: Upgrade\r\nUpgrade: websocket"), [202]),
    (
        "another upgrade",
        header(b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA"),
        [202],
    ),
    ("a range", header(b"Range: bytes=0-0,1-1"), [202]),
    ("bare line feeds", (HEAD + TWO).replace(b"\r\n", b"\n"), [400]),
    ("another host", LINE + b"Host: evil.example\r\n" + TWO, [400]),
    ("a host of bytes", LINE + b"Host: \xff@[::\r\n" + TWO, [400]),
    ("two hosts", header(b"Host: evil.example"), [400]),
    # --- the first line
    ("a query of 3,000 bytes", line(target=b"/hooks/<token>?a=" + b"b" * 3000), [202]),
    ("a query of 5,000 bytes", line(target=b"/hooks/<token>?a=" + b"b" * 5000), [414]),
    ("a query of 2 MB", line(target=b"/hooks/<token>?a=" + b"b" * 2_000_000), [414]),
    ("percent garbage", line(target=b"/hooks/<token>?%zz=%&%00=%ff&=%c0%af&%u0041"), [202]),
    ("a query of bytes", line(target=b"/hooks/<token>?\xff\xfe=\x80"), [400]),
    ("a blank in the query", line(target=b"/hooks/<token>?a=b c"), [400]),
    ("a fragment", line(target=b"/hooks/<token>#a"), [202]),
    ("a whole URL", line(target=b"http://evil.example/hooks/<token>"), [202]),
    ("a broken URL", line(target=b"http://[::1:99999/hooks/<token>"), [400]),
    ("a path of bytes", line(target=b"/hooks/%00%ff" + b"a" * 40), [404]),
    ("a path through others", line(target=b"/hooks/../hooks/<token>"), [404]),
    ("a longer path", line(target=b"/hooks/<token>/more"), [404]),
    ("no slash", line(target=b"hooks/<token>"), [400]),
    ("HTTP/0.9", b"GET /hooks/<token>\r\n\r\n", [400]),
    ("HTTP/1.0", line(version=b"HTTP/1.0"), [202]),
    ("HTTP/2 unasked", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    ("HTTP/9.9", line(version=b"HTTP/9.9"), [400]),
    ("line ends alone", b"\r\n" * 10, [400]),
    ("any bytes", bytes(range(1, 256)) * 40 + b"\r\n\r\n", [400]),
    ("a proxy's greeting", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + HEAD + TWO, [400]),
    *((f"method {m.decode()}", line(m), [405]) for m in b"TRACE OPTIONS HEAD PATCH BREW".split()),
    *((f"method {m.decode()}", line(m), [202]) for m in b"GET PUT".split()),
    ("method CONNECT", line(b"CONNECT"), [405]),
    ("a method in small letters", line(b"post"), [400]),
    ("a method of bytes", line(b"P\xd6ST"), [400]),
    ("a method with NUL", line(b"POST\0"), [400]),
    ("a long method", line(b"G" * 5000), [414]),
]


@pytest.mark.parametrize(
    ("data", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_every_request_has_a_clear_answer(served, data, expected):
    before = runs(served)
    said = talk(served, data)
    check(said)
    assert statuses(said) == expected
    taken = [int(pk) for pk in re.findall(rb'"ok","event_id":(\d+)', said)]
    assert len(taken) == expected.count(202)
    assert runs(served) == before + taken


@pytest.mark.parametrize(
    "data", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 99]
)
def test_what_is_no_http_is_hung_up_on(served, data):
    before = runs(served)
    assert statuses(talk(served, data)) in ([], [400])
    assert runs(served) == before


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"P", 408),
        (LINE, 408),
        (HEAD + b"X-A: a", 408),
        (HEAD + b"Content-Length: 100\r\n\r\n", 400),
        (HEAD + b"Content-Length: 100\r\n\r\n{", 400),
        (CHUNKED + b"2\r\n{}\r\n", 400),
    ],
)
def test_nobody_waits_for_a_caller_that_stops(served, data, status):
    before = runs(served)
    said = talk(served, data, says_goodbye=False)
    check(said)
    assert statuses(said) == [status]
    assert runs(served) == before


@pytest.mark.parametrize("start", [b"", HEAD + b"X-A: ", HEAD + b"Content-Length: 999999\r\n\r\n"])
def test_nobody_waits_for_a_caller_that_trickles(served, start):
    with dial(served) as line:
        line.sendall((start or LINE[:6]).replace(TOKEN, served.token.encode()))
        while not select.select([line], [], [], 0.1)[0]:
            line.sendall(b"a")
        assert statuses(heard(line)) in ([408], [400])


def test_slow_callers_hold_up_nobody_for_long(served):
    slow = [dial(served) for _ in range(16)]
    for line in slow:
        line.sendall(HEAD.replace(TOKEN, served.token.encode()) + b"Content-Length: 9\r\n\r\n{")
    assert statuses(talk(served, HEAD + TWO)) == [202]
    for line in slow:
        assert statuses(heard(line)) == [400]
        line.close()
