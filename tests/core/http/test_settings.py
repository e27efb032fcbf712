"""What the environment may say about outgoing calls."""

import ipaddress
import os
import subprocess
import sys

import pytest

from apps.core.http.guard import AllowList

pytestmark = pytest.mark.once


def test_an_allow_list_is_read():
    words = [
        "printer.lan",
        "Shop.lan:8080",
        "10.0.0.0/8",
        "127.0.0.1:9000",
        "[::1]:9000",
        "fd00::/8",
    ]
    allow = AllowList.read(words)
    assert allow.has_name("printer.lan", 1)
    assert allow.has_name("shop.lan", 8080)
    assert not allow.has_name("shop.lan", 80)
    address = ipaddress.ip_address
    assert allow.has_address(address("10.9.9.9"), 80)
    assert allow.has_address(address("127.0.0.1"), 9000)
    assert not allow.has_address(address("127.0.0.1"), 9001)
    assert not allow.has_address(address("127.0.0.2"), 9000)
    assert allow.has_address(address("::1"), 9000)
    assert allow.has_address(address("fd12::1"), 80)
    assert not allow.has_address(address("::2"), 9000)


@pytest.mark.parametrize(
    "word",
    [
        "http://printer.lan",
        "printer.lan/path",
        "*.lan",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "127.0.0.1:0",
        "127.0.0.1:99999",
        "127.0.0.1:http",
        "2130706433",
        "127.1",
        "user@printer.lan",
        "[::1",
        "[::1]9000",
        "a b",
        ":80",
        "[]",
    ],
)
def test_what_is_no_host_is_not_allowed(word):
    with pytest.raises(ValueError, match=r"read|between|neither"):
        AllowList.read([word])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWITCHBOARD_HTTP_ALLOW", "printer.lan, http://x"),
        ("SWITCHBOARD_HTTP_PROXY", "proxy:password"),
        ("SWITCHBOARD_HTTP_CA_FILE", "/nowhere/ca.pem"),
    ],
)
def test_a_setting_that_cannot_be_read_stops_the_start_with_a_sentence(name, value):
    run = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode
    last = run.stderr.strip().splitlines()[-1]
    assert f"ImproperlyConfigured: {name}" in last
    assert "password" not in last
