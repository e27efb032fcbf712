"""What is refused, whatever way it is written."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.http import addresses, transfer
from apps.core.http.guard import AllowList, Guard
from apps.core.http.messages import Kind
from apps.core.http.pool import Pool
from apps.core.http.urls import Refused, read
from tests.core.http.conftest import call
from tests.core.http.server import steadily

pytestmark = pytest.mark.once

HOSTILE = [
    line
    for line in (Path(__file__).parent / "hostile_urls.txt").read_text().splitlines()
    if line and not line.startswith("# ")
]


@pytest.fixture
def dialled(monkeypatch):
    """The addresses for which a socket was opened."""
    opened = []

    class Watched:
        AF_INET = transfer.socket.AF_INET

        @staticmethod
        def socket(*kind):
            opened.append(kind)
            raise OSError("No socket in this test")

    monkeypatch.setattr(transfer, "socket", Watched)
    return opened


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_and_nothing_is_dialled(url, strict, dialled):
    result = call(strict, "POST", url, body=b"secret")
    assert result.kind == Kind.REFUSED, result
    assert result.sent is False
    assert result.reason.endswith(".")
    assert not dialled


@pytest.mark.parametrize(
    "url",
    [
        "http://a\r\nb/",
        "http://example.com/\nX: y",
        "http://example.com/\t",
        "http://example.com/\x00",
        " http://example.com/",
        "http://example.com/a b",
        "http://e\u200b.com/",
        "http://example.com/\u2028",
        "http://example.com/\ud800",
        "http://example.com/" + "a" * 9000,
    ],
)
def test_invisible_and_endless_urls_are_refused(url, strict):
    result = call(strict, "GET", url)
    assert (result.kind, result.sent) == (Kind.REFUSED, False)


@pytest.mark.parametrize(
    "url",
    [line for line in HOSTILE if line.startswith("http") and "127" in line and "@" not in line],
)
def test_the_socket_is_guarded_even_where_the_url_looked_good(url, strict, dialled, monkeypatch):
    monkeypatch.setattr(Guard, "check", lambda self, target: None)
    assert call(strict, "GET", url).sent is False
    assert not dialled


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "[::1]", "[fd00::1]"]
)
def test_a_name_that_turns_to_an_inner_address_is_refused_when_dialled(
    address, strict, dialled, resolve
):
    """Rebinding: what the name meant a moment ago doesn't matter."""
    resolve("rebound.example:8080", address)
    result = call(strict, "POST", "http://rebound.example:8080/", body=b"secret")
    assert result.kind == Kind.REFUSED
    assert result.reason.startswith(f"rebound.example ({address.strip('[]')}) is not called")
    assert result.sent is False
    assert not dialled


def test_of_several_addresses_only_the_public_one_is_dialled(strict, dialled, resolve):
    resolve("mixed.example:8080", "127.0.0.1,10.0.0.1,93.184.215.14")
    result = call(strict, "GET", "http://mixed.example:8080/")
    assert len(dialled) == 1
    assert result.sent is False


def test_a_name_on_the_list_may_be_inside_but_no_other_name(serve, resolve):
    server = serve(steadily())
    inside = Pool(Guard(AllowList.read([f"printer.lan:{server.port}"])))
    for name in ("printer.lan", "other.lan"):
        resolve(f"{name}:{server.port}", "127.0.0.1")
    assert call(inside, "GET", f"http://printer.lan:{server.port}/").status == 200
    assert call(inside, "GET", f"http://PRINTER.lan.:{server.port}/").status == 200
    for other in (f"http://other.lan:{server.port}/", server.url, "http://printer.lan:1234/"):
        assert call(inside, "GET", other).sent is False
    assert {each.headers["host"] for each in server.received} == {f"printer.lan:{server.port}"}
    inside.close()


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "[fd00:ec2::254]"])
def test_a_name_on_the_list_never_opens_the_metadata_service(address, resolve, dialled):
    listed = Pool(Guard(AllowList.read(["printer.lan"])))
    resolve("printer.lan:80", address)
    assert "metadata" in call(listed, "GET", "http://printer.lan/").reason
    assert not dialled
    listed.close()


@pytest.mark.parametrize(
    ("url", "as_sent", "host", "port"),
    [
        ("https://api.example", "https://api.example/", "api.example", 443),
        ("HTTPS://API.Example:443/A?b#c", "https://api.example/A?b", "api.example", 443),
        ("http://api.example:/x", "http://api.example/x", "api.example", 80),
        ("http://api.example?q=1", "http://api.example/?q=1", "api.example", 80),
        ("https://bücher.example/ü?n=ö", None, "xn--bcher-kva.example", 443),
        (
            'https://a.example/x?j={"a":1}',
            "https://a.example/x?j=%7B%22a%22:1%7D",
            "a.example",
            443,
        ),
        ("https://a.example/100%25/%e2", "https://a.example/100%25/%e2", "a.example", 443),
        ("http://8.8.8.8:8080/", "http://8.8.8.8:8080/", "8.8.8.8", 8080),
        ("http://134744072/", "http://8.8.8.8/", "8.8.8.8", 80),
        ("http://[2606:4700::1111]/", "http://[2606:4700::1111]/", "2606:4700::1111", 80),
        (
            "https://my_shop.web1.example/",
            "https://my_shop.web1.example/",
            "my_shop.web1.example",
            443,
        ),
    ],
)
def test_good_urls_are_read_and_put_together_anew(url, as_sent, host, port):
    target = read(url)
    assert (target.host, target.port) == (host, port)
    assert target.url == (as_sent or "https://xn--bcher-kva.example/%C3%BC?n=%C3%B6")
    assert read(target.url) == target
    Guard().check(target)


@given(st.integers(0, 2**32 - 1))
def test_every_notation_of_an_address_is_the_same_address(number):
    address = ipaddress.IPv4Address(number)
    a, b, c, d = address.packed
    expected = addresses.special(address)
    for written in (
        f"{number}",
        f"{number:#x}",
        f"0{number:o}",
        f"{a}.{b}.{c * 256 + d}",
        f"{a:#x}.{b}.0{c:o}.{d}",
        f"[::ffff:{address}]",
        f"[64:ff9b::{address}]",
    ):
        literal = read(f"http://{written}/").literal()
        assert addresses.special(literal) == expected


@given(st.ip_addresses())
def test_what_the_standard_library_calls_inner_is_never_public(address):
    address = addresses.plain(address)
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert addresses.special(address)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    for url in (text, "http://" + text, "https://example.com/" + text):
        try:
            target = read(url)
        except Refused:
            continue
        assert target.url.isascii() and " " not in target.url
