"""What looks like a secret in a request: such values are masked wherever people can read them."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from apps.actions.http.literals import ATTRIBUTE
from apps.actions.http.secret import spellings
from apps.core import liquid
from apps.core.http.redaction import MASK

Pairs = Sequence[tuple[str, str]]

_WHOLE = {"auth", "xauth", "sig", "signature", "pwd", "pass", "xkey", "pin"}
# fmt: off
_INSIDE = (
    "authorization", "apikey", "apitoken", "secret", "password", "passwd", "passphrase",
    "accesskey", "privatekey", "clientkey", "licensekey",
)
# fmt: on
_AT_THE_END = ("token", "cookie", "subscriptionkey", "authkey", "credential", "pwd")
_LOGIN = re.compile(r"(?<=://)[^/?#]*@")


@lru_cache(maxsize=1000)
def names_a_secret(name: str) -> bool:
    """Whether a header or parameter of that name usually holds one: Authorization, X-Api-Key …"""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return plain in _WHOLE or any(word in plain for word in _INSIDE) or plain.endswith(_AT_THE_END)


def is_literal(text: str) -> bool:
    """Whether a value stands there itself, instead of coming from an attribute."""
    return bool(text.strip()) and not liquid.roots(text)


@dataclass(frozen=True)
class Veil:
    """Texts that nobody is to read, wherever they stand."""

    texts: tuple[str, ...] = ()

    @classmethod
    def of(cls, secrets: Iterable[str]) -> "Veil":
        """Over these in all their spellings; the longest first, since one may be in another."""
        spelled = {spelling for secret in secrets for spelling in spellings(secret)}
        return cls(tuple(sorted(spelled, key=len, reverse=True)))

    def over(self, value: Any) -> Any:
        """A text, or what a JSON document holds, with MASK for each of them."""
        if not self.texts:
            return value
        if isinstance(value, str):
            for text in self.texts:
                value = value.replace(text, MASK)
        elif isinstance(value, list):
            return [self.over(item) for item in value]
        elif isinstance(value, dict):
            return {self.over(key): self.over(item) for key, item in value.items()}
        return value


NOTHING_HIDDEN = Veil()


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


def without_literals(url: str, shown: Container[str] = ()) -> str:
    """A URL as it is written, attributes and all, with MASK for each value in it whose name says
    that it is secret, unless it is one of `shown`."""
    login = login_of(url)
    if is_literal(login):
        url = url.replace(login, f"{MASK}@", 1)
    address, mark, rest = url.partition("?")
    query, hash_, fragment = rest.partition("#")
    parts = (part.partition("=") for part in query.split("&"))
    kept = "&".join(
        f"{name}={MASK}" if _is_hidden(name, value, shown) else f"{name}{equals}{value}"
        for name, equals, value in parts
    )
    return f"{address}{mark}{kept}{hash_}{fragment}"


def rows_without_literals(
    rows: Sequence[Mapping[str, str]], shown: Container[str] = ()
) -> list[dict[str, str]]:
    """The same for headers and fields."""
    return [
        {**row, "value": MASK} if _is_hidden(row["name"], row["value"], shown) else {**row}
        for row in rows
    ]


def _is_hidden(name: str, value: str, shown: Container[str]) -> bool:
    return names_a_secret(name) and is_literal(value) and value not in shown


def readable_query(pairs: Pairs) -> str:
    """A query with its masks as they are instead of percent-encoded."""
    return urlencode(pairs).replace(quote(MASK), MASK)


# Up to where the path of a URL begins, as it is written.
_HOST = re.compile(r"(?:[a-zA-Z+.-]*://)?(?:" + ATTRIBUTE + r"|[^/?#])*", re.DOTALL)


def to_the_path(url: str) -> str:
    """Scheme, login and host of a URL, attributes and all."""
    found = _HOST.match(url)
    return found.group() if found else ""


def login_of(url: str) -> str:
    """`user:password@` as it is written in a URL; empty without one."""
    found = _LOGIN.search(url)
    return found.group() if found else ""
