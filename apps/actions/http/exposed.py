"""Secrets that stand in a request as it is written, instead of in a credential."""

import hashlib
import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from apps.actions.http.literals import beside_attributes, has_attribute, in_text
from apps.actions.http.masking import (
    Veil,
    is_literal,
    names_a_secret,
    rows_without_literals,
    to_the_path,
    without_literals,
)
from apps.core.http.redaction import SHORTEST

Rows = Sequence[Mapping[str, str]]

INSTEAD = (
    "Make a credential of it, choose that under Credential and take it out here; sent as text, it "
    "stands where you write {{ credential }}. Or open the action and say that it is no secret."
)
# Names with values, in the notations of bodies that are no JSON.
_NAME = r"([\w.-]{1,80})"
_NAMED = (
    re.compile(rf"""["']{_NAME}["']\s*:\s*"((?:[^"\\]|\\.)+)\""""),
    re.compile(rf"""(?<![\w.-]){_NAME}["']?\s*:\s*'([^']+)'"""),
    re.compile(rf"""(?<![\w."'-]){_NAME}\s*:\s*"?([^\s"'{{}},]+)"""),
    re.compile(rf"(?<![\w.-]){_NAME}=[\"']?([^&\s\"'<>]+)"),
    re.compile(rf"<(?:[\w-]+:)?{_NAME}(?:\s[^<>]*)?>(?:<!\[CDATA\[)?([^<\]]+)"),
)
# What stands under such names and is none.
_HARMLESS = re.compile(r"(?i)yes|no|on|off|true|false|none|null|basic|bearer|first|https?://\S+")


@dataclass(frozen=True)
class Exposed:
    """One of them. `place`: where, as the beginning of a sentence; `named`: the whole value of
    something whose name says that it is secret, else it looks like one by itself."""

    place: str
    text: str
    named: bool = False
    # Whoever shows the request masks it by that name.
    masked_by_name: bool = False

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
    found = (*in_url(url), *in_rows(headers, "header"), *in_rows(fields), *in_body(body))
    return list({one.text: one for one in found}.values())


def in_url(url: str) -> Iterator[Exposed]:
    """Not in its host, which is no secret and is never hidden."""
    address, _, query = url[len(to_the_path(url)) :].partition("?")
    yield from (Exposed("The URL", text) for text in in_text(address))
    for part in query.partition("#")[0].split("&"):
        name, _, value = part.partition("=")
        if names_a_secret(name):
            yield from _named(f'The URL contains a secret in the parameter "{name}"', value)
        else:
            yield from (Exposed("The URL", text) for text in in_text(part))


def in_rows(rows: Rows, what: str = "parameter") -> Iterator[Exposed]:
    for row in rows:
        yield from _in_row(row, what)


def _in_row(row: Mapping[str, str], what: str) -> Iterator[Exposed]:
    name, value = row["name"], row["value"]
    place = f'The {what} "{name}"'
    if names_a_secret(name):
        yield from _named(f"{place} contains a secret", value)
    else:
        yield from (Exposed(place, text) for text in in_text(value))


def _named(place: str, value: str) -> Iterator[Exposed]:
    if is_literal(value) and not _HARMLESS.fullmatch(value.strip()):
        yield Exposed(place, value, named=True, masked_by_name=True)
    elif has_attribute(value):
        beside = place.partition(" contains")[0]
        yield from (Exposed(beside, text) for text in beside_attributes(value))


def masked_url(url: str, harmless: Container[str]) -> str:
    """The URL as it is written, without them; `harmless`: fingerprints of those that are none. Its
    host is never hidden: where a request goes is to be seen."""
    veil, shown = _veil(in_url(url), harmless)
    host = to_the_path(url)
    rest = without_literals(url[len(host) :], shown)
    return without_literals(host) + veil.over(rest)


def masked(
    url: str, headers: Rows, fields: Rows, body: str, harmless: Container[str]
) -> tuple[str, list[dict[str, str]], list[dict[str, str]], str]:
    """The same for a whole request; each part is masked for what was found in it alone."""

    def rows(given: Rows) -> list[dict[str, str]]:
        veil, shown = _veil(in_rows(given), harmless)
        kept: list[dict[str, str]] = veil.over(rows_without_literals(given, shown))
        return kept

    hidden: str = _veil(in_body(body), harmless)[0].over(body)
    return masked_url(url, harmless), rows(headers), rows(fields), hidden


def _veil(found: Iterable[Exposed], harmless: Container[str]) -> tuple[Veil, set[str]]:
    """What hides them, and the texts that may be seen."""
    texts = {one.text: one.fingerprint in harmless for one in found}
    hidden = (text for text, may_be_seen in texts.items() if not may_be_seen)
    shown = {text for text, may_be_seen in texts.items() if may_be_seen}
    return Veil.of(text for text in hidden if len(text) >= SHORTEST), shown


def in_body(body: str) -> Iterator[Exposed]:
    yield from (Exposed("The body", text) for text in in_text(body))
    for name, value in _pairs(body):
        # Whoever posts "pin": "1" has no secret; and such a text stands everywhere.
        if names_a_secret(name) and len(value) >= SHORTEST and not _is_harmless(value):
            for one in _named(f'The body contains a secret in "{name}"', value):
                yield replace(one, masked_by_name=False)


def _is_harmless(value: str) -> bool:
    is_sentence = " " in value.strip() and not any(c.isdigit() for c in value)
    return is_sentence or bool(_HARMLESS.fullmatch(value))


def _pairs(body: str) -> Iterator[tuple[str, str]]:
    """Names with their values, from JSON as it is read, else from how other things look."""
    try:
        yield from _leaves(json.loads(body))
    except (ValueError, RecursionError):
        for notation in _NAMED:
            yield from notation.findall(body)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of each text and number; an item of a list has the list's name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, key)
        if isinstance(value.get("name"), str) and isinstance(value.get("value"), str):
            yield value["name"], value["value"]
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    elif isinstance(value, str) or type(value) in (int, float):
        yield name, str(value)
