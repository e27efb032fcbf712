"""Building the request of an HTTP API action: its attributes filled in, each for its place."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from urllib3.filepost import encode_multipart_formdata

from apps.connectors.models import Performing
from apps.core.http.messages import Request

SECONDS = 60.0
MASK = "•••"
QUERY_IN_URL = ("GET", "HEAD")


@dataclass(frozen=True)
class Secret:
    """What a credential adds to a request: a header, or a parameter of the URL."""

    header: tuple[str, str] | None = None
    parameter: tuple[str, str] | None = None

    @classmethod
    def of(cls, place: str, name: str, username: str, secret: str) -> "Secret":
        """`place`: bearer, basic, header or query; `name` of the header or parameter."""
        match place:
            case "basic":
                pair = base64.b64encode(f"{username}:{secret}".encode()).decode()
                return cls(header=("Authorization", f"Basic {pair}"))
            case "header":
                return cls(header=(name, secret))
            case "query":
                return cls(parameter=(name, secret))
        return cls(header=("Authorization", f"Bearer {secret}"))


@dataclass(frozen=True)
class Parts:
    """A request without its secret, as people may see it."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None

    def shown(self, secret: Secret | None) -> dict[str, Any]:
        """For logs: the secret is there, but not its value."""
        headers = [list(pair) for pair in self.headers]
        url = self.url
        if secret and secret.header:
            headers.append([secret.header[0], MASK])
        if secret and secret.parameter:
            url = _with_query(url, [(secret.parameter[0], MASK)])
        body = (self.body or b"").decode("utf-8", "replace")
        return {"method": self.method, "url": url, "headers": headers, "body": body}

    def request(self, secret: Secret | None) -> Request:
        headers, url = self.headers, self.url
        if secret and secret.header:
            headers = (*headers, secret.header)
        if secret and secret.parameter:
            url = _with_query(url, [secret.parameter])
        return Request(self.method, url, headers, self.body, deadline=SECONDS)


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
    address = run.render("url", url, "url").strip()
    named = [
        (row["name"], run.render(row["name"], row["value"], "header").strip()) for row in headers
    ]
    content: bytes | None = None
    kind = ""
    match body_type:
        case "query" | "form" | "multipart":
            pairs = [(row["name"], run.render(row["name"], row["value"])) for row in fields]
            if body_type == "multipart":
                content, kind = encode_multipart_formdata(pairs)
            elif body_type == "query" and method in QUERY_IN_URL:
                address = _with_query(address, pairs)
            else:
                content, kind = urlencode(pairs).encode(), "application/x-www-form-urlencoded"
        case "json":
            value = run.render_json("body", _document(body))
            content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
                "utf-8", "backslashreplace"
            )
            kind = "application/json"
        case "raw":
            content, kind = run.render("body", body).encode("utf-8", "backslashreplace"), ""
    if kind and not any(name.lower() == "content-type" for name, _ in named):
        named.append(("Content-Type", kind))
    return Parts(method, address, tuple(named), content)


@lru_cache(maxsize=1000)
def _document(text: str) -> Any:
    return json.loads(text)


def json_error(text: str) -> str:
    """What is wrong with a JSON body as it is written, in one sentence; empty when all is well."""
    try:
        json.loads(text)
    except ValueError as error:
        return f"The body is not valid JSON: {error}. Put attributes in quotes."
    return ""


def _with_query(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    if not pairs:
        return url
    address, hash_, fragment = url.partition("#")
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}{urlencode(pairs)}{hash_}{fragment}"
