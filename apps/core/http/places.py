"""Where a secret may go: the hosts that its credential lists. They are compared with the server
that a request is about to leave for, so that what stands in a URL can't lead a secret astray."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote, unquote_plus

from apps.core.http import urls
from apps.core.http.urls import Refused, Target

_SCHEME = re.compile(r"(?P<scheme>https?)://", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;]+")
# `*.` stands for names below one that somebody could own: not for all of .com.
_ANY, _LEAST_LABELS = "*.", 2


@dataclass(frozen=True, slots=True)
class Place:
    """One server, or with `below` every name below `host`. Spelled `api.shop.example`,
    `api.shop.example:8443`, `*.shop.example`: by https, unless it begins with `http://`."""

    scheme: str
    host: str
    port: int
    below: bool = False

    @classmethod
    def of(cls, target: Target) -> "Place":
        return cls(target.scheme, target.host, target.port)

    @classmethod
    def read(cls, word: str) -> "Place":
        """Raises ValueError with a sentence."""
        scheme, rest = "https", word
        if found := _SCHEME.match(word):
            scheme, rest = found["scheme"].lower(), word[found.end() :]
        rest = rest.removesuffix("/")
        below = rest.startswith(_ANY)
        rest = rest.removeprefix(_ANY)
        if re.search(r"[/?#@*]", rest):
            raise ValueError(f'"{word}" is no host: write it like api.shop.example.')
        try:
            target = urls.read(f"{scheme}://{rest}/")
        except Refused:
            raise ValueError(f'"{word}" is no host: write it like api.shop.example.') from None
        if below and (target.host.count(".") + 1 < _LEAST_LABELS or target.literal()):
            raise ValueError(f'"{word}" is too wide: at least two names follow "*.".')
        return cls(scheme, target.host, target.port, below)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "" if self.scheme == "https" else f"{self.scheme}://"
        port = "" if self.port == urls.DEFAULT_PORT[self.scheme] else f":{self.port}"
        return f"{scheme}{_ANY if self.below else ''}{host}{port}"

    def covers(self, other: "Place") -> bool:
        """Plain http on the usual port covers https there: that is the same server, safer."""
        if self.below:
            if not other.host.endswith(f".{self.host}"):
                return False
        elif other.host != self.host:
            return False
        mine, its = (self.scheme, self.port), (other.scheme, other.port)
        return mine == its or (mine, its) == (("http", 80), ("https", 443))


@lru_cache(maxsize=1000)
def read(text: str) -> tuple[Place, ...]:
    """The places of a list, one a line; raises ValueError with a sentence."""
    return tuple(dict.fromkeys(Place.read(word) for word in _BETWEEN.split(text) if word))


@dataclass(frozen=True, slots=True)
class Bound:
    """A secret that a request carries: of which credential, where it may go, and its spellings."""

    credential: str
    places: tuple[Place, ...]
    texts: tuple[str, ...] = field(repr=False)

    def may_go(self, target: Target) -> bool:
        there = Place.of(target)
        return any(place.covers(there) for place in self.places)

    def check(self, target: Target) -> None:
        """Before the secret leaves for a server; raises Refused."""
        if not self.may_go(target):
            raise Refused(not_there(self.credential, Place.of(target)))

    def is_in(self, target: Target, body: bytes | None) -> bool:
        """Whether the URL spells the secret, as a server can do that redirects, or the body."""
        written = (target.url, unquote(target.url), unquote_plus(target.url))
        return any(
            any(text in url for url in written) or text.encode() in (body or b"")
            for text in self.texts
        )

    def without(self, headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """The headers that don't spell it."""
        return tuple(
            (name, value)
            for name, value in headers
            if not any(text in name or text in value for text in self.texts)
        )


def not_there(credential: str, place: Place) -> str:
    return (
        f'The credential "{credential}" may not go to {place}. Whoever may change credentials '
        "can add that host to it."
    )
