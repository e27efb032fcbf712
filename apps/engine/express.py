"""The everyday post to a webhook, from the bytes of its request to those of its answer.

Most posts are alike: one whole HTTP/1.1 request with a plain head, for a published connector that
this process remembers, authentic and within its rate, answered with the event's id. They need
neither Django's request cycle nor a thread each: they are read here by the functions that hooks.py
uses, and those that came together are stored by one statement (PostgreSQL).

Whatever is not everyday, every refusal above all, is left to the usual way: `read` returns None
then, and nothing has happened.
"""

import logging
import re
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import DataError, IntegrityError
from django.http.request import split_domain_port, validate_host
from django.utils.datastructures import CaseInsensitiveMapping

from apps.core import clock, database_time
from apps.core.due import is_postgresql
from apps.core.outside import SANDBOX
from apps.engine import authentication, bodies, intake, rate, together
from apps.engine.authentication import NotAuthentic
from apps.engine.bodies import UnreadableBody
from apps.engine.intake import Intake, Posted

logger = logging.getLogger(__name__)

BEGINNING = b"POST /hooks/"
# A whole request is not longer than this, head and body.
MOST_BYTES = 64 * 1024

# Possessive, so that a hostile head can't make it try again and again.
_HEAD = re.compile(
    rb"POST /hooks/([A-Za-z0-9_-]{8,64})/?(?:\?([!\"$-~]{0,3000}))? HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9-]{1,64}+:[\t -~]{0,4000}+\r\n){1,60}+)\r\n"
)
# They change how a request is read or answered.
_UNUSUAL = {
    b"content-encoding",
    b"expect",
    b"http2-settings",
    b"keep-alive",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}

_ACCEPTED = (
    "HTTP/1.1 202 Accepted\r\nDate: %s\r\nConnection: keep-alive\r\nContent-Type: application/json"
    f"\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: {SANDBOX}"
    "\r\nContent-Length: %d\r\n\r\n%s"
)
_NOT_STORED = (
    '{"status":"error","detail":"The event could not be stored. Post it again in a minute."}'
)
_UNAVAILABLE = (
    "HTTP/1.1 503 Service Unavailable\r\nConnection: keep-alive\r\nContent-Type: application/json"
    f"\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: {SANDBOX}"
    f"\r\nContent-Length: {len(_NOT_STORED)}\r\nRetry-After: 60\r\n\r\n{_NOT_STORED}"
).encode()


@dataclass(frozen=True)
class Everyday:
    """A post that may be stored."""

    known: Intake
    posted: Posted


def is_offered() -> bool:
    """Whether this installation stores posts together at all."""
    return is_postgresql()


def read(data: bytes) -> Everyday | None:
    """What `data`, the first bytes that a connection holds, posts; None when that is not everyday.
    Counts the event towards its connector's rate."""
    head = _HEAD.match(data)
    headers = _headers(head[3]) if head else None
    if head is None or headers is None:
        return None
    raw = data[head.end() :]
    if headers.get(b"content-length") != b"%d" % len(raw) or not _is_for_us(headers):
        return None
    known = intake.remembered(head[1].decode())
    if known is None or not _is_plain(known) or not _is_authentic(known, raw, headers):
        return None
    content_type = headers.get(b"content-type", b"").decode()
    query = bodies.query_fields(head[2] or b"")
    try:
        posted = Posted(bodies.read(raw, content_type), content_type[:200], query)
    except UnreadableBody:
        return None
    return None if rate.take(known.connector_id, known.per_minute) else Everyday(known, posted)


def store(posts: list[Everyday]) -> list[bytes | None]:
    """Store them, and what their callers are to be told; None leaves one to the usual way."""
    database_time.refresh()
    now = clock.now()
    stored = [together.Post(intake.columns(post.known, post.posted, now)) for post in posts]
    together.store_all(stored)
    date = formatdate(now.timestamp(), usegmt=True)
    return [_answer(post, date) for post in stored]


def _answer(post: together.Post, date: str) -> bytes | None:
    if isinstance(post.error, DataError | IntegrityError):
        return None
    if post.error is not None:  # stored or not: only the caller may decide to post it again
        logger.error("An event could not be stored", exc_info=post.error)
        return _UNAVAILABLE
    if post.event_id is None:
        return None
    body = f'{{"status":"ok","event_id":{post.event_id}}}'
    return (_ACCEPTED % (date, len(body), body)).encode()


def _headers(lines: bytes) -> dict[bytes, bytes] | None:
    """By name in small letters; None when one is unusual or comes twice."""
    pairs = [line.split(b":", 1) for line in lines.split(b"\r\n")[:-1]]
    headers = {name.lower(): value.strip(b" \t") for name, value in pairs}
    if len(headers) < len(pairs) or not _UNUSUAL.isdisjoint(headers):
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return headers


def _is_for_us(headers: dict[bytes, bytes]) -> bool:
    """Whether Django would take it: for one of our names, and by HTTPS where we insist on it."""
    if settings.SECURE_SSL_REDIRECT:
        name, secure = settings.SECURE_PROXY_SSL_HEADER or ("", "")
        told = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower().encode(), b"")
        if not name or told.decode() != secure:
            return False
    return _is_allowed(headers.get(b"host", b"").decode())


@lru_cache(maxsize=64)
def _is_allowed(host: str) -> bool:
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def _is_plain(known: Intake) -> bool:
    return known.revision_id is not None and not known.response_body and known.dedupe.by == "none"


def _is_authentic(known: Intake, raw: bytes, headers: dict[bytes, bytes]) -> bool:
    if known.auth.kind == "none":
        return True
    texts: Any = {name.decode(): value.decode() for name, value in headers.items()}
    try:
        authentication.verify(known.auth, raw, CaseInsensitiveMapping(texts), clock.now())
    except NotAuthentic:
        return False
    return True
