"""Whether a post comes from who may post: pure functions over its raw bytes and headers.

Signatures are HMAC-SHA256 with the credential's secret. Those with a timestamp are good for the
rule's tolerance only, so that a recorded post can't be played again later.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Headers = Mapping[str, str]


class NotAuthentic(ValueError):
    """The post is refused; the message tells the caller why."""


@dataclass(frozen=True)
class Rule:
    """What a connector asks of a post. `kind` is one of CHECKS, or "none"."""

    kind: str = "none"
    secret: str = field(default="", repr=False)
    username: str = ""
    header: str = ""
    tolerance: int = 300


def verify(rule: Rule, raw: bytes, headers: Headers, now: datetime) -> None:
    """Raises NotAuthentic unless the post with the body `raw` may be taken at `now`."""
    if rule.kind == "none":
        return
    if not rule.secret:
        raise NotAuthentic("This connector asks for a secret, but none was set.")
    CHECKS[rule.kind](rule, raw, headers, now)


def meta_challenge(query: dict[str, Any], token: str) -> str | None:
    """What Meta wants to read when it verifies an address; None where it does not ask. The verify
    token is the last part of the address, which nobody else knows."""
    if query.get("hub.mode") != "subscribe" or "hub.challenge" not in query:
        return None
    if not _same(str(query.get("hub.verify_token", "")), token):
        raise NotAuthentic("The verify token must be the last part of this address.")
    return str(query["hub.challenge"])


# --- the checks ----------------------------------------------------------------------------------


def _check_header(rule: Rule, raw: bytes, headers: Headers, now: datetime) -> None:
    value = _header(headers, rule.header)
    if rule.header.lower() == "authorization" and value[:7].lower() == "bearer ":
        value = value[7:].strip()
    if not _same(value, rule.secret):
        raise NotAuthentic(f"The key in the header {rule.header} is wrong.")


def _check_basic(rule: Rule, raw: bytes, headers: Headers, now: datetime) -> None:
    scheme, _, encoded = _header(headers, "Authorization").partition(" ")
    pair = _decoded(encoded) if scheme.lower() == "basic" else b""
    # Compared in one piece: how long it takes does not tell which half was wrong.
    if not hmac.compare_digest(pair, f"{rule.username}:{rule.secret}".encode()):
        raise NotAuthentic("The user name or the password is wrong.")


def _check_github(rule: Rule, raw: bytes, headers: Headers, now: datetime) -> None:
    """GitHub and Meta: sha256=<hex> over the body."""
    signature = _header(headers, "X-Hub-Signature-256")
    _match("X-Hub-Signature-256", [signature], "sha256=" + _hmac(rule.secret, raw).hex())


def _check_shopify(rule: Rule, raw: bytes, headers: Headers, now: datetime) -> None:
    signature = _header(headers, "X-Shopify-Hmac-Sha256")
    _match("X-Shopify-Hmac-Sha256", [signature], _base64(_hmac(rule.secret, raw)))


def _check_stripe(rule: Rule, raw: bytes, headers: Headers, now: datetime) -> None:
    """t=<seconds>,v1=<hex>[,v1=<hex> …] over "<seconds>.<body>"."""
    pairs = [
        part.strip().partition("=") for part in _header(headers, "Stripe-Signature").split(",")
    ]
    at = next((value for name, _, value in pairs if name == "t"), "")
    _check_age(at, rule.tolerance, now)
    signatures = [value for name, _, value in pairs if name == "v1"]
    _match("Stripe-Signature", signatures, _hmac(rule.secret, f"{at}.".encode() + raw).hex())


def _check_standard(rule: Rule, raw: bytes, headers: Headers, now: datetime) -> None:
    """Standard Webhooks: "v1,<base64>", several with spaces between, over "<id>.<seconds>.<body>";
    the secret is base64 after "whsec_"."""
    at = _header(headers, "webhook-timestamp")
    _check_age(at, rule.tolerance, now)
    key = _decoded(rule.secret.removeprefix("whsec_"))
    if not key:
        raise NotAuthentic("The secret of this connector is none of Standard Webhooks.")
    head = f"{_header(headers, 'webhook-id')}.{at}.".encode("latin-1", "replace")
    given = [part.partition(",") for part in _header(headers, "webhook-signature").split()]
    signatures = [value for version, _, value in given if version == "v1"]
    _match("webhook-signature", signatures, _base64(_hmac(key, head + raw)))


def _check_hmac(rule: Rule, raw: bytes, headers: Headers, now: datetime) -> None:
    """Any other sender: hex or base64 over the body, with or without "sha256=" before it."""
    signature = _header(headers, rule.header).removeprefix("sha256=")
    digest = _hmac(rule.secret, raw)
    expected = digest.hex() if len(signature) == 64 else _base64(digest)
    _match(rule.header, [signature.lower() if len(signature) == 64 else signature], expected)


Check = Callable[[Rule, bytes, Headers, datetime], None]
CHECKS: dict[str, Check] = {
    "header": _check_header,
    "basic": _check_basic,
    "github": _check_github,
    "stripe": _check_stripe,
    "shopify": _check_shopify,
    "standard": _check_standard,
    "meta": _check_github,
    "hmac": _check_hmac,
}


# --- their tools ---------------------------------------------------------------------------------


def _header(headers: Headers, name: str) -> str:
    value = headers.get(name, "").strip()
    if not value:
        raise NotAuthentic(f"The header {name} is missing.")
    return value


def _match(header: str, signatures: list[str], expected: str) -> None:
    if not any(_same(signature, expected) for signature in signatures):
        raise NotAuthentic(f"The signature in the header {header} does not match the body.")


def _check_age(seconds: str, tolerance: int, now: datetime) -> None:
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 13):
        raise NotAuthentic("The signature has no timestamp.")
    if abs(now.timestamp() - int(seconds)) > tolerance:
        raise NotAuthentic(f"The timestamp is more than {tolerance} seconds away from now.")


def _same(given: str, expected: str) -> bool:
    """Compared in constant time. A header comes as bytes that WSGI shows as Latin-1."""
    return hmac.compare_digest(given.encode("latin-1", "replace"), expected.encode())


def _hmac(secret: str | bytes, message: bytes) -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, message, hashlib.sha256).digest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    """Base64, also without its padding; nothing where it is none."""
    try:
        text = text.strip()
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""
