"""What a credential adds to a request, and how it stands in a text as `{{ credential }}`."""

import base64
import html
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote, quote_plus

from apps.core.http.places import Bound, Place
from apps.core.http.redaction import SHORTEST

# What stands for the secret while everything else is filled in. Nobody who posts can know it.
MARK = f"\ue000{secrets.token_hex(8)}\ue000"
_WRITTEN = re.compile(r"\{\{-?\s*credential\s*-?\}\}")
# A path may hold these as they are; "/" too: some services' secrets have several parts.
_IN_PATH = ":@!$&'()*+,;=-._~/"


@dataclass(frozen=True)
class Secret:
    """Sent as a header, as a parameter of the URL, or `inline`: wherever it was written."""

    bound: Bound
    # What is looked for in an answer that was read; not what is too short to be a secret.
    values: tuple[str, ...] = field(repr=False)
    header: tuple[str, str] | None = None
    parameter: tuple[str, str] | None = None
    inline: str | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, credential: str, places: tuple[Place, ...], how: str, name: str, user: str, secret: str
    ) -> "Secret":
        """`how`: bearer, basic, header, query or text; `name` of the header or parameter."""
        pair = _in_base64(f"{user}:{secret}") if how == "basic" else ""
        texts = [pair, secret] if pair else [secret]
        values = tuple(text for text in texts if len(text) >= SHORTEST)
        make = partial(cls, Bound(credential, places, spellings(*texts)), values)
        match how:
            case "basic":
                return make(header=("Authorization", f"Basic {pair}"))
            case "header":
                return make(header=(name, secret))
            case "query":
                return make(parameter=(name, secret))
            case "text":
                return make(inline=secret)
        return make(header=("Authorization", f"Bearer {secret}"))


def marked(text: str) -> str:
    """A text with MARK for each `{{ credential }}`."""
    return _WRITTEN.sub(MARK, text) if "credential" in text else text


def placed_in_url(url: str, secret: str) -> str:
    """Encoded for the path or for the query, wherever MARK stands."""
    path, mark, query = url.partition("?")
    query = query.replace(MARK, quote_plus(secret)).replace(quote_plus(MARK), quote_plus(secret))
    return f"{path.replace(MARK, quote(secret, safe=_IN_PATH))}{mark}{query}"


def placed_in_body(body: bytes, secret: str, content_type: str) -> bytes:
    if "json" in content_type.lower():
        return body.replace(MARK.encode(), _in_json(secret).encode())
    if "urlencoded" in content_type.lower():
        body = body.replace(quote_plus(MARK).encode(), quote_plus(secret).encode())
    return body.replace(MARK.encode(), secret.encode())


def spellings(*texts: str) -> tuple[str, ...]:
    """The forms in which servers and programs send a text back."""
    made = {way(text) for text in texts for way in _WAYS}
    made |= {_PERCENT.sub(lambda found: found.group().lower(), form) for form in made}
    return tuple(made)


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_ascii_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _in_escaped_json(text: str) -> str:
    """As programs write it that escape all but letters and digits."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\u{ord(c):04X}" for c in text)


def _in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_PERCENT = re.compile("%[0-9A-F]{2}")
_HEX = re.compile(r"\\u[0-9A-F]{4}")
_WAYS: tuple[Callable[[str], str], ...] = (
    str,
    quote,
    quote_plus,
    partial(quote, safe=""),
    partial(quote, safe=_IN_PATH),
    _in_json,
    _in_ascii_json,
    lambda text: _in_json(text).replace("/", "\\/"),
    lambda text: _in_ascii_json(text).replace("/", "\\/"),
    _in_escaped_json,
    lambda text: _HEX.sub(lambda found: found.group().lower(), _in_escaped_json(text)),
    html.escape,
    _in_base64,
)
