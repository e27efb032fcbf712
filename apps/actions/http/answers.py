"""Answers as later steps read them."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from apps.core.http.messages import Response

NOT_JSON = "Response Mapping Not Done, Only JSON can be mapped as Response"
# Of an answer that is no JSON, in characters.
TEXT_KEPT = 100_000
DEEPEST = 100
# Statuses whose answers never have a body (RFC 9110).
WITHOUT_BODY = (204, 205, 304)


class NotJson(ValueError):
    """The body can't be read as JSON that later steps could use."""


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).decode


def read(body: bytes) -> dict[str, Any]:
    """The body as an object: a list is its `items`, anything else its `value`. Raises NotJson."""
    try:
        found = _decode(body.decode(json.detect_encoding(body), "surrogatepass").strip())
        _check_depth(found)
    except (ValueError, RecursionError) as error:
        raise NotJson from error
    if isinstance(found, dict):
        return found
    return {"items": found} if isinstance(found, list) else {"value": found}


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise NotJson
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            if isinstance(inner, dict | list):
                _check_depth(inner, depth + 1)


def text(body: bytes) -> str:
    decoded = body.decode("utf-8", "replace")
    return decoded if len(decoded) <= TEXT_KEPT else decoded[:TEXT_KEPT] + "…"


def values(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    """What stands under {{ http.<key> }}: the answer and its `status`. Where the answer has a
    `status` or a `body` of its own, `body` is the whole answer."""
    if "status" in answer or "body" in answer:
        return {**answer, "status": status, "body": answer}
    return {"status": status, **answer}


def status_line(answer: Response) -> str:
    reason = answer.reason
    if not reason:
        try:
            reason = HTTPStatus(answer.status).phrase
        except ValueError:
            reason = ""
    return f"{answer.status} {reason}".strip()


def retry_after(answer: Response, now: datetime) -> timedelta | None:
    """For how long the server asks to be left alone (seconds or a date); None when it doesn't."""
    asked = (answer.header("retry-after") or "").strip()
    if asked.isdecimal() and len(asked) < 10:
        return timedelta(seconds=int(asked))
    try:
        until = parsedate_to_datetime(asked)
    except (ValueError, IndexError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return until - now if until > now else None
