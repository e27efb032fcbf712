"""Where a secret may go."""

import pytest

from apps.core.http import urls
from apps.core.http.places import Place, read


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("api.shop.example", ["api.shop.example"]),
        ("https://API.Shop.example/", ["api.shop.example"]),
        ("api.shop.example:443", ["api.shop.example"]),
        (
            "a.example:8443, b.example\n\n*.c.example",
            ["a.example:8443", "b.example", "*.c.example"],
        ),
        ("http://printer.lan:8080", ["http://printer.lan:8080"]),
        ("http://10.0.0.7", ["http://10.0.0.7"]),
        ("http://[::1]:9000", ["http://[::1]:9000"]),
        ("bücher.example", ["xn--bcher-kva.example"]),
        ("a.example a.example", ["a.example"]),
        ("", []),
    ],
)
def test_a_list_of_hosts_has_one_spelling(written, spelled):
    assert [str(place) for place in read(written)] == spelled


@pytest.mark.parametrize(
    "written",
    [
        "*",
        "*.com",
        "*.10.0.0.7",
        "*.*.example",
        "a.example/path",
        "a.example:99999",
        "ana:pw@a.example",
        "ftp://a.example",
        "a b?c",
        "{{ event.host }}",
    ],
)
def test_what_is_no_host_is_refused_in_a_sentence(written):
    with pytest.raises(ValueError, match=r"(is no host|too wide).*\.$"):
        read(written)


@pytest.mark.parametrize(
    ("place", "url", "covered"),
    [
        ("a.example", "https://a.example/x", True),
        ("a.example", "https://A.EXAMPLE./x", True),
        ("a.example", "http://a.example/x", False),
        ("a.example", "https://a.example:8443/", False),
        ("a.example", "https://b.a.example/", False),
        ("a.example", "https://a.example.evil.example/", False),
        ("*.a.example", "https://b.a.example/", True),
        ("*.a.example", "https://c.b.a.example/", True),
        ("*.a.example", "https://a.example/", False),
        ("*.a.example", "https://evila.example/", False),
        ("http://a.example", "http://a.example/", True),
        ("http://a.example", "https://a.example/", True),
        ("http://a.example:8080", "https://a.example/", False),
        ("http://10.0.0.7", "http://167772167/", True),  # the same address
    ],
)
def test_a_place_covers_its_own_server_alone(place, url, covered):
    assert Place.read(place).covers(Place.of(urls.read(url))) is covered
