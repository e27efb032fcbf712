"""Building the request of an HTTP API action: its attributes filled in, each for its place."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from urllib3.filepost import encode_multipart_formdata

from apps.actions.http import raw
from apps.actions.http.masking import (
    MASK,
    NOTHING_HIDDEN,
    Veil,
    masked,
    masked_url,
    names_a_secret,
    readable_query,
)
from apps.actions.http.secret import MARK, Secret, marked, placed_in_body, placed_in_url
from apps.connectors.models import Performing
from apps.core import liquid
from apps.core.http.messages import Request

SECONDS = 60.0
# Of a URL, all before its path.
_HEAD = re.compile(r"[^/?#]*(?://[^/?#]*)?")
QUERY_IN_URL = ("GET", "HEAD")


@dataclass(frozen=True)
class Parts:
    """A request without its secret, as people may see it."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    # The body as people may see it, where that is something else.
    body_shown: bytes | None = None
    # What the body was made of, if it was pairs.
    pairs: tuple[tuple[str, str], ...] = ()
    # What is not to be seen of it, besides.
    veil: Veil = NOTHING_HIDDEN

    def shown(self, secret: Secret | None) -> dict[str, Any]:
        """For logs: the secret is there, but not its value."""
        headers = [[name, self.veil.over(value)] for name, value in masked(self.headers)]
        url = self.veil.over(masked_url(self.url))
        if secret and secret.header:
            headers.append([secret.header[0], MASK])
        if secret and secret.parameter:
            url = _joined(url, readable_query([(secret.parameter[0], MASK)]))
        body = (self.body_shown or self.body or b"").decode("utf-8", "replace")
        shown = self.veil.over(body)
        return {"method": self.method, "url": url, "headers": headers, "body": shown}

    def request(self, secret: Secret | None) -> Request:
        headers, url, body = self.headers, self.url, self.body
        if secret is None:
            return Request(self.method, url, headers, body, deadline=SECONDS)
        if secret.header:
            headers = (*headers, secret.header)
        if secret.parameter:
            url = _with_query(url, [secret.parameter])
        if secret.inline:
            url = placed_in_url(url, secret.inline)
            headers = tuple((n, v.replace(MARK, secret.inline)) for n, v in headers)
            body = body and placed_in_body(body, secret.inline, self._content_type)
        return Request(self.method, url, headers, body, deadline=SECONDS, bound=secret.bound)

    def spells_a_secret_host(self) -> bool:
        """Whether the credential was written before the path. Names are told in sentences, and to
        whoever resolves them."""
        head = _HEAD.match(self.url)
        return head is not None and MARK.lower() in unquote(head.group()).lower()

    @property
    def _content_type(self) -> str:
        return next((v for name, v in self.headers if name.lower() == "content-type"), "")

    def secrets(self, secret: Secret | None) -> tuple[str, ...]:
        """What is taken out of the answer: the credential's value, and what is named like one. (Not
        what merely looks like one: later steps read the answer.)"""
        query = parse_qsl(urlsplit(self.url).query) if "?" in self.url else ()
        named = (*self.headers, *self.pairs, *query)
        written = [value for name, value in named if names_a_secret(name)]
        # Of "Bearer abc", a server may send back the "abc" alone.
        alone = [value.split()[-1] for value in written if value]
        return (*(secret.bound.texts if secret else ()), *written, *alone)


def build(
    run: Performing,
    method: str,
    url: str,
    headers: Sequence[Mapping[str, str]],
    body_type: str,
    fields: Sequence[Mapping[str, str]],
    body: str,
    veil: Veil = NOTHING_HIDDEN,
    inline: bool = False,
) -> Parts:
    """Fill in the attributes; `{{ credential }}` stays a mark where it is sent `inline`. Raises
    LiquidError."""
    written = marked if inline else str
    render = partial(_render, run, veil, written)
    pairs: list[tuple[str, str]] = []
    address = render("url", url, "url").strip()
    named = [(row["name"], render(row["name"], row["value"], "header").strip()) for row in headers]
    content: bytes | None = None
    shown: bytes | None = None
    kind = ""
    match body_type:
        case "query" | "form" | "multipart":
            pairs = [(row["name"], render(row["name"], row["value"])) for row in fields]
            if body_type == "query" and method in QUERY_IN_URL:
                address = _with_query(address, pairs)
            else:
                content, kind, shown = _of_pairs(pairs, body_type == "multipart")
        case "json":
            value = run.render_json("body", _document(written(body)))
            if veil.texts:
                run.went_in("body", veil.over(value))
            content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
                "utf-8", "backslashreplace"
            )
            kind = "application/json"
        case "raw":
            content = render("body", body, raw.place(named)).encode("utf-8", "backslashreplace")
    if kind and not any(name.lower() == "content-type" for name, _ in named):
        named.append(("Content-Type", kind))
    return Parts(method, address, tuple(named), content, shown, tuple(pairs), veil)


def _of_pairs(pairs: list[tuple[str, str]], multipart: bool) -> tuple[bytes, str, bytes]:
    """The body, its type, and the body as people may see it."""
    if multipart:
        content, kind = encode_multipart_formdata(pairs)
        boundary = kind.partition("boundary=")[2]
        return content, kind, encode_multipart_formdata(masked(pairs), boundary)[0]
    shown = readable_query(masked(pairs)).encode()
    return urlencode(pairs).encode(), "application/x-www-form-urlencoded", shown


def _render(
    run: Performing,
    veil: Veil,
    written: Callable[[str], str],
    name: str,
    text: str,
    place: str = "plain",
) -> str:
    """As `run.render`, but what looks like a secret is not in the timeline."""
    rendered = run.render(name, written(text), place)
    if name == "url":
        run.went_in(name, veil.over(masked_url(rendered)))
    elif names_a_secret(name):
        run.went_in(name, MASK)
    elif veil.texts:
        run.went_in(name, veil.over(rendered))
    return rendered


@lru_cache(maxsize=1000)
def _document(text: str) -> Any:
    return json.loads(text)


def json_error(text: str) -> str:
    """What is wrong with a JSON body as it is written, in one sentence; empty when all is well."""
    try:
        value = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        return f"The body is not valid JSON ({place}). Put attributes in quotes."
    except (ValueError, RecursionError) as error:
        return f"The body is not valid JSON ({error}). Put attributes in quotes."
    return next((found for text in _texts(value) if (found := liquid.syntax_error(text))), "")


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _with_query(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    return _joined(url, urlencode(pairs)) if pairs else url


def _joined(url: str, query: str) -> str:
    address, hash_, fragment = url.partition("#")
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}{query}{hash_}{fragment}"
