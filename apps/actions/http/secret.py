"""What a credential adds to a request, and how it stands in a text as `{{ credential }}`."""

import base64
import json
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

from apps.core.http.places import Bound, Place

# What stands for the secret while everything else is filled in. Nobody who posts can know it.
MARK = f"\ue000{secrets.token_hex(8)}\ue000"
_WRITTEN = re.compile(r"\{\{-?\s*credential\s*-?\}\}")
# A path may hold these as they are; "/" too: some services' secrets have several parts.
_IN_PATH = ":@!$&'()*+,;=-._~/"


@dataclass(frozen=True)
class Secret:
    """Sent as a header, as a parameter of the URL, or `inline`: wherever it was written."""

    bound: Bound
    header: tuple[str, str] | None = None
    parameter: tuple[str, str] | None = None
    inline: str | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, credential: str, places: tuple[Place, ...], how: str, name: str, user: str, secret: str
    ) -> "Secret":
        """`how`: bearer, basic, header, query or text; `name` of the header or parameter."""
        pair = base64.b64encode(f"{user}:{secret}".encode()).decode() if how == "basic" else ""
        bound = Bound(credential, places, _forms(*([pair] if pair else []), secret))
        match how:
            case "basic":
                return cls(bound, header=("Authorization", f"Basic {pair}"))
            case "header":
                return cls(bound, header=(name, secret))
            case "query":
                return cls(bound, parameter=(name, secret))
            case "text":
                return cls(bound, inline=secret)
        return cls(bound, header=("Authorization", f"Bearer {secret}"))


def marked(text: str) -> str:
    """A text with MARK for each `{{ credential }}`."""
    return _WRITTEN.sub(MARK, text) if "credential" in text else text


def placed_in_url(url: str, secret: str) -> str:
    """Where MARK is spelled in a query, the secret is encoded as its neighbours are."""
    return url.replace(MARK, quote(secret, safe=_IN_PATH)).replace(
        quote_plus(MARK), quote_plus(secret)
    )


def placed_in_body(body: bytes, secret: str, content_type: str) -> bytes:
    if "json" in content_type.lower():
        return body.replace(MARK.encode(), _in_json(secret).encode())
    if "urlencoded" in content_type.lower():
        body = body.replace(quote_plus(MARK).encode(), quote_plus(secret).encode())
    return body.replace(MARK.encode(), secret.encode())


def spellings(secret: str) -> tuple[str, ...]:
    """All forms in which a server may send it back."""
    return _forms(secret)


def _forms(*texts: str) -> tuple[str, ...]:
    ways = (str, quote, quote_plus, _in_json, lambda text: _in_json(text).replace("/", "\\/"))
    return tuple({way(text) for text in texts for way in ways})


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
