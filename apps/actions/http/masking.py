"""What looks like a secret in a request: such values are masked wherever people can read them."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlencode

from apps.core import liquid
from apps.core.http.redaction import MASK

Pairs = Sequence[tuple[str, str]]

_WHOLE = {"auth", "xauth", "sig", "signature", "pwd", "pass"}
_INSIDE = ("authorization", "apikey", "secret", "password", "passwd", "accesskey", "privatekey")
_AT_THE_END = ("token", "cookie", "subscriptionkey", "authkey", "credential")
_LOGIN = re.compile(r"(?<=://)[^/?#]*@")


@lru_cache(maxsize=1000)
def names_a_secret(name: str) -> bool:
    """Whether a header or parameter of that name usually holds one: Authorization, X-Api-Key …"""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return plain in _WHOLE or any(word in plain for word in _INSIDE) or plain.endswith(_AT_THE_END)


def is_literal(text: str) -> bool:
    """Whether a value stands there itself, instead of coming from an attribute."""
    return bool(text.strip()) and not liquid.roots(text)


def masked(pairs: Pairs) -> list[tuple[str, str]]:
    return [(name, MASK if names_a_secret(name) else value) for name, value in pairs]


def masked_url(url: str) -> str:
    """The URL as people may see it: without a login and without secret parameters."""
    if "@" in url:
        url = _LOGIN.sub(f"{MASK}@", url)
    if "?" not in url:
        return url
    address, _, rest = url.partition("?")
    query, hash_, fragment = rest.partition("#")
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(names_a_secret(name) for name, _ in pairs):
        return url
    return f"{address}?{readable_query(masked(pairs))}{hash_}{fragment}"


def without_literals(url: str) -> str:
    """A URL as it is written, attributes and all, with MASK for each secret that stands in it."""
    login = login_of(url)
    if is_literal(login):
        url = url.replace(login, f"{MASK}@", 1)
    address, mark, rest = url.partition("?")
    query, hash_, fragment = rest.partition("#")
    parts = (part.partition("=") for part in query.split("&"))
    kept = "&".join(
        f"{name}={MASK}" if names_a_secret(name) and is_literal(value) else f"{name}{equals}{value}"
        for name, equals, value in parts
    )
    return f"{address}{mark}{kept}{hash_}{fragment}"


def rows_without_literals(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The same for headers and fields."""
    return [
        {**row, "value": MASK}
        if names_a_secret(row["name"]) and is_literal(row["value"])
        else {**row}
        for row in rows
    ]


def readable_query(pairs: Pairs) -> str:
    """A query with its masks as they are instead of percent-encoded."""
    return urlencode(pairs).replace(quote(MASK), MASK)


def login_of(url: str) -> str:
    """`user:password@` as it is written in a URL; empty without one."""
    found = _LOGIN.search(url)
    return found.group() if found else ""
