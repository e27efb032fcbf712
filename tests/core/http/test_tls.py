"""Certificates are always verified."""

import ssl

import pytest

from apps.core.http.guard import Guard
from apps.core.http.messages import Kind
from apps.core.http.pool import Pool
from tests.core.http.conftest import OPEN, call
from tests.core.http.server import steadily

pytestmark = pytest.mark.once


@pytest.fixture
def trusting(certificate):
    pool = Pool(Guard(OPEN.allow, ca_file=certificate.ca_file))
    yield pool
    pool.close()


def test_a_trusted_server_is_called(trusting, serve, certificate):
    server = serve(steadily(), tls=certificate.server())
    assert call(trusting, "POST", server.url, body=b"x").body == b"ok"


def test_an_unknown_authority_is_not_trusted(pool, serve, certificate):
    server = serve(steadily(), tls=certificate.server())
    result = call(pool, "POST", server.url, body=b"x")
    assert (result.kind, result.sent) == (Kind.TLS, False)
    assert server.received == []


@pytest.mark.parametrize("wrong", [{"address": "127.0.0.2"}, {"days": -1}])
def test_another_server_or_a_stale_certificate_is_not_trusted(trusting, serve, certificate, wrong):
    server = serve(steadily(), tls=certificate.server(**wrong))
    result = call(trusting, "POST", server.url, body=b"x")
    assert (result.kind, result.sent) == (Kind.TLS, False)
    assert "secure connection" in result.reason
    assert server.received == []


def test_old_tls_is_not_spoken(trusting, serve, certificate):
    context = certificate.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    result = call(trusting, "POST", serve(steadily(), tls=context).url, body=b"x")
    assert (result.kind, result.sent) == (Kind.TLS, False)


def test_a_redirect_from_https_to_http_is_not_followed(trusting, serve, certificate):
    plain = serve(steadily())
    secure = serve(steadily(b"", "302 Found", f"Location: {plain.url}"), tls=certificate.server())
    result = call(trusting, "GET", secure.url)
    assert (result.kind, result.sent) == (Kind.REFUSED, True)
    assert "https to plain http" in result.reason
    assert plain.connections == 0


def test_a_redirect_from_http_to_https_is_followed(trusting, serve, certificate):
    secure = serve(steadily(), tls=certificate.server())
    plain = serve(steadily(b"", "302 Found", f"Location: {secure.url}"))
    assert call(trusting, "GET", plain.url).body == b"ok"
