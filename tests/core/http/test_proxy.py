"""With a proxy, it is the proxy that looks names up: only what the URL says can be checked."""

import pytest

from apps.core.http.guard import AllowList, Guard
from apps.core.http.messages import Kind
from apps.core.http.pool import Pool
from tests.core.http.conftest import call
from tests.core.http.server import steadily

pytestmark = pytest.mark.once


@pytest.fixture
def proxy(serve):
    return serve(steadily(b"through the proxy"))


@pytest.fixture
def proxied(proxy):
    pool = Pool(Guard(AllowList.read(["printer.lan"]), proxy=proxy.url))
    yield pool
    pool.close()


def test_http_goes_through_the_proxy(proxied, proxy):
    assert call(proxied, "GET", "http://shop.example/a").body == b"through the proxy"
    assert proxy.received[0].line == "GET http://shop.example/a HTTP/1.1"


def test_a_secret_header_is_not_shown_to_the_proxy_of_a_tunnel(serve):
    def script(talk):
        talk.read()
        talk.answer(b"", "403 Forbidden")

    proxy = serve(script)
    pool = Pool(Guard(proxy=proxy.url))
    result = call(pool, "POST", "https://shop.example/a", headers=(("X-Api-Key", "s"),), body=b"x")
    assert (result.kind, result.sent) == (Kind.CONNECT, False)
    assert "proxy" in result.reason
    [received] = proxy.received
    assert received.line == "CONNECT shop.example:443 HTTP/1.1"
    assert "x-api-key" not in received.headers
    pool.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://localhost/",
        "http://a.localhost/",
        "http://169.254.169.254/",
        "http://[::ffff:10.0.0.1]/",
        "http://shop.example:25/",
        "ftp://shop.example/",
    ],
)
def test_addresses_in_the_url_are_still_refused(proxied, proxy, url):
    assert call(proxied, "GET", url).kind == Kind.REFUSED
    assert proxy.connections == 0


def test_a_proxy_that_is_gone(serve, proxy):
    url = proxy.url
    proxy.close()
    pool = Pool(Guard(proxy=url))
    result = call(pool, "POST", "http://shop.example/", body=b"x")
    assert (result.kind, result.sent) == (Kind.CONNECT, False)
    pool.close()
