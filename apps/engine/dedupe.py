"""The name under which an event is taken once: a header, a value of the event, or its body."""

import hashlib
from dataclasses import dataclass
from typing import Any

from liquid.exceptions import LiquidError

from apps.connectors.completing import dedupe_of
from apps.core import liquid

KEY_LENGTH = 300


@dataclass(frozen=True)
class Rule:
    """The dedupe rule of a revision."""

    by: str = "none"
    header: str = ""
    path: str = ""


def rule_of(document: dict[str, Any]) -> Rule:
    """From a frozen document."""
    rule = dedupe_of(document)
    return Rule(rule["by"], rule["header"], rule["path"])


def by_header(value: str) -> str:
    """Empty when there is no value: such an event always runs."""
    return _short("", value.strip())


def by_path(path: str, scope: dict[str, Any]) -> str:
    """By what stands under a Liquid path; empty when nothing does."""
    try:
        value = liquid.as_text(liquid.evaluate(path, scope)).strip()
    except LiquidError:
        return ""
    # With its path: after a changed rule, equal values of two paths are not the same event.
    return _short(f"path {path.strip()}: ", value)


def by_body(raw: bytes, query: bytes) -> str:
    """By all that was sent, the query included; empty when that is nothing."""
    if not raw.strip() and not query:
        return ""
    return "body: " + hashlib.sha256(len(query).to_bytes(8) + query + raw).hexdigest()


def _short(prefix: str, value: str) -> str:
    key = prefix + value
    if len(key) > KEY_LENGTH:
        return "sha256:" + hashlib.sha256(key.encode()).hexdigest()
    return key if value else ""
