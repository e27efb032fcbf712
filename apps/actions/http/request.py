"""Building the request of an HTTP API action: its attributes filled in, each for its place."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

from urllib3.filepost import encode_multipart_formdata

from apps.actions.http import raw
from apps.actions.http.masking import (
    MASK,
    masked,
    masked_url,
    names_a_secret,
    readable_query,
)
from apps.connectors.models import Performing
from apps.core import liquid
from apps.core.http.messages import Request

SECONDS = 60.0
QUERY_IN_URL = ("GET", "HEAD")


@dataclass(frozen=True)
class Secret:
    """What a credential adds to a request: a header, or a parameter of the URL."""

    header: tuple[str, str] | None = None
    parameter: tuple[str, str] | None = None
    # All forms in which a server may send it back.
    texts: tuple[str, ...] = ()

    @classmethod
    def of(cls, place: str, name: str, username: str, secret: str) -> "Secret":
        """`place`: bearer, basic, header or query; `name` of the header or parameter."""
        match place:
            case "basic":
                pair = base64.b64encode(f"{username}:{secret}".encode()).decode()
                return cls(("Authorization", f"Basic {pair}"), None, _forms(pair, secret))
            case "header":
                return cls((name, secret), None, _forms(secret))
            case "query":
                return cls(None, (name, secret), _forms(secret))
        return cls(("Authorization", f"Bearer {secret}"), None, _forms(secret))


def _forms(*secrets: str) -> tuple[str, ...]:
    ways = (str, quote, quote_plus, _in_json, lambda text: _in_json(text).replace("/", "\\/"))
    return tuple({way(secret) for secret in secrets for way in ways})


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


@dataclass(frozen=True)
class Parts:
    """A request without its secret, as people may see it."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    # The body as people may see it, where that is something else.
    body_shown: bytes | None = None

    def shown(self, secret: Secret | None) -> dict[str, Any]:
        """For logs: the secret is there, but not its value."""
        headers = [list(pair) for pair in masked(self.headers)]
        url = masked_url(self.url)
        if secret and secret.header:
            headers.append([secret.header[0], MASK])
        if secret and secret.parameter:
            url = _joined(url, readable_query([(secret.parameter[0], MASK)]))
        body = (self.body_shown or self.body or b"").decode("utf-8", "replace")
        return {"method": self.method, "url": url, "headers": headers, "body": body}

    def request(self, secret: Secret | None) -> Request:
        headers, url = self.headers, self.url
        if secret and secret.header:
            headers = (*headers, secret.header)
        if secret and secret.parameter:
            url = _with_query(url, [secret.parameter])
        return Request(self.method, url, headers, self.body, deadline=SECONDS)

    def secrets(self, secret: Secret | None) -> tuple[str, ...]:
        """What is taken out of the answer: the credential's value, and what looks like one."""
        written = [value for name, value in self.headers if names_a_secret(name)]
        # Of "Bearer abc", a server may send back the "abc" alone.
        alone = [value.split()[-1] for value in written if value]
        return (*(secret.texts if secret else ()), *written, *alone)


def build(
    run: Performing,
    method: str,
    url: str,
    headers: Sequence[Mapping[str, str]],
    body_type: str,
    fields: Sequence[Mapping[str, str]],
    body: str,
) -> Parts:
    """Fill in the attributes. Raises LiquidError."""
    address = _render(run, "url", url, "url").strip()
    named = [
        (row["name"], _render(run, row["name"], row["value"], "header").strip()) for row in headers
    ]
    content: bytes | None = None
    shown: bytes | None = None
    kind = ""
    match body_type:
        case "query" | "form" | "multipart":
            pairs = [(row["name"], _render(run, row["name"], row["value"])) for row in fields]
            if body_type == "multipart":
                content, kind = encode_multipart_formdata(pairs)
                shown = encode_multipart_formdata(masked(pairs), kind.partition("boundary=")[2])[0]
            elif body_type == "query" and method in QUERY_IN_URL:
                address = _with_query(address, pairs)
            else:
                content, kind = urlencode(pairs).encode(), "application/x-www-form-urlencoded"
                shown = readable_query(masked(pairs)).encode()
        case "json":
            value = run.render_json("body", _document(body))
            content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
                "utf-8", "backslashreplace"
            )
            kind = "application/json"
        case "raw":
            content = run.render("body", body, raw.place(named)).encode("utf-8", "backslashreplace")
    if kind and not any(name.lower() == "content-type" for name, _ in named):
        named.append(("Content-Type", kind))
    return Parts(method, address, tuple(named), content, shown)


def _render(run: Performing, name: str, text: str, place: str = "plain") -> str:
    """As `run.render`, but what looks like a secret is not in the timeline."""
    rendered = run.render(name, text, place)
    if name == "url":
        run.went_in(name, masked_url(rendered))
    elif names_a_secret(name):
        run.went_in(name, MASK)
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
