"""Methods and headers that a caller may set."""

import re

from apps.core.http.messages import Headers, Request
from apps.core.http.urls import Refused

MAX_BYTES = 64 * 1024
_METHOD = re.compile(r"[A-Z]{1,20}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
# They say where a message ends or whom it is for: two opinions about that are an attack.
# fmt: off
_OURS = frozenset((
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "expect", "upgrade",
    "te", "trailer", "http2-settings", "proxy-authorization", "proxy-connection",
))
# fmt: on
_REFUSED_METHODS = ("CONNECT", "TRACE")


def check(request: Request) -> None:
    """Raises Refused for what is no method or header, or is not the caller's to set."""
    if not _METHOD.fullmatch(request.method) or request.method in _REFUSED_METHODS:
        raise Refused("The method must be one like GET, POST, PUT, PATCH, DELETE or HEAD.")
    if request.method == "HEAD" and request.body:
        raise Refused("A HEAD request has no body.")
    size = 0
    for name, value in request.headers:
        if not _TOKEN.fullmatch(name):
            raise Refused(f"{name[:50]!r} can't be the name of a header.")
        if name.lower() in _OURS:
            raise Refused(f'The header "{name}" is set by Switchboard and can\'t be given.')
        if _CONTROL.search(value):
            raise Refused(
                f'The header "{name}" contains a line break or another control character.'
            )
        size += len(name) + len(value)
    if size > MAX_BYTES:
        raise Refused(f"The headers are longer than {MAX_BYTES:,} characters.")


def lines(headers: Headers, has_body: bool) -> list[bytes]:
    """The headers as libcurl takes them."""
    written = [
        # A semicolon is how libcurl is told of an empty value.
        f"{name}: {value.strip()}".encode() if value.strip() else f"{name};".encode()
        for name, value in headers
    ]
    if has_body and not any(name.lower() == "content-type" for name, _ in headers):
        written.append(b"Content-Type:")  # none, instead of libcurl's guess
    written.append(b"Expect:")  # 100-continue costs a second wherever it isn't understood
    return written
