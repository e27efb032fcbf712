"""Secrets that stand in a request as it is written, instead of in a credential."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from apps.actions.http.literals import beside_attributes, has_attribute, in_text
from apps.actions.http.masking import is_literal, login_of, names_a_secret
from apps.core.http.redaction import SHORTEST

Rows = Sequence[Mapping[str, str]]

INSTEAD = (
    "Make a credential of it and choose it under Credential, or open the action and say that it "
    "is no secret."
)
# Names with values, in the notations that bodies are written in.
_NAMED = (
    re.compile(r'"([\w-]+)"\s*:\s*"((?:[^"\\]|\\.)+)"'),
    re.compile(r"(?<![\w-])([\w-]+)=([^&\s\"'<>]+)"),
    re.compile(r"<([\w-]+)>([^<]+)</"),
)


@dataclass(frozen=True)
class Exposed:
    """One of them. `place`: where, as the beginning of a sentence; `named`: the whole value of
    something whose name says that it is secret, else it looks like one by itself."""

    place: str
    text: str
    named: bool = False

    @property
    def fingerprint(self) -> str:
        """By which an operator's word that it is none is remembered."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def finding(self) -> str:
        """With enough of it to find it, and too little to use it."""
        if self.named:
            return f"{self.place}."
        return f"{self.place} contains what looks like a secret ({self.text[:4]}…)."

    def sentence(self) -> str:
        return f"{self.finding} {INSTEAD}"


def find(url: str, headers: Rows, fields: Rows, body: str) -> list[Exposed]:
    """All of them, each text once."""
    found = chain(
        _in_url(url),
        *(_in_row(row, "header") for row in headers),
        *(_in_row(row, "parameter") for row in fields),
        _in_body(body),
    )
    return list({one.text: one for one in found}.values())


def _in_url(url: str) -> Iterator[Exposed]:
    login = login_of(url)
    rest = url.replace(login, "", 1) if login else url
    address, _, query = rest.partition("?")
    yield from (Exposed("The URL", text) for text in in_text(address))
    for part in query.partition("#")[0].split("&"):
        name, _, value = part.partition("=")
        if names_a_secret(name):
            yield from _named(f'The URL contains a secret in the parameter "{name}"', value)
        else:
            yield from (Exposed("The URL", text) for text in in_text(part))


def _in_row(row: Mapping[str, str], what: str) -> Iterator[Exposed]:
    name, value = row["name"], row["value"]
    place = f'The {what} "{name}"'
    if names_a_secret(name):
        yield from _named(f"{place} contains a secret", value)
    else:
        yield from (Exposed(place, text) for text in in_text(value))


def _named(place: str, value: str) -> Iterator[Exposed]:
    if is_literal(value):
        yield Exposed(place, value, named=True)
    elif has_attribute(value):
        beside = place.partition(" contains")[0]
        yield from (Exposed(beside, text) for text in beside_attributes(value))


def _in_body(body: str) -> Iterator[Exposed]:
    yield from (Exposed("The body", text) for text in in_text(body))
    for notation in _NAMED:
        for name, value in notation.findall(body):
            # Whoever posts "pin": "1" has no secret; and such a text stands everywhere.
            if names_a_secret(name) and len(value) >= SHORTEST and is_literal(value):
                yield Exposed(f'The body contains a secret in "{name}"', value, named=True)
