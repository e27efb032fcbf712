"""libcurl's error numbers in words."""

import pycurl

from apps.core.http.messages import Kind, Request
from apps.core.http.urls import Target

_TLS = frozenset((35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91, 98))
_PROXY = frozenset((pycurl.E_COULDNT_RESOLVE_PROXY, 97))


def explain(
    errno: int, message: str, target: Target, request: Request, sent: bool
) -> tuple[Kind, str]:
    """What happened, and a sentence. `sent`: whether the request had begun to leave."""
    place = target.place
    if errno == pycurl.E_OPERATION_TIMEDOUT:
        if sent:
            return Kind.TIMEOUT, f"{place} did not answer within {request.deadline:g} seconds."
        return Kind.TIMEOUT, f"{place} could not be reached in time."
    if errno == pycurl.E_COULDNT_RESOLVE_HOST:
        return Kind.DNS, f"The server {target.host} was not found: its name is unknown."
    if errno in _PROXY:
        return Kind.CONNECT, "The proxy for outgoing calls could not be used."
    if errno in _TLS and not sent:
        return Kind.TLS, f"There is no secure connection to {place}: {message}."
    if not sent:
        return Kind.CONNECT, f"{place} could not be reached: nothing answers there."
    if errno == pycurl.E_BAD_CONTENT_ENCODING:
        return Kind.LOST, f"The answer of {place} could not be decompressed."
    if errno == pycurl.E_GOT_NOTHING:
        return Kind.LOST, f"{place} closed the connection without an answer."
    if errno == pycurl.E_ABORTED_BY_CALLBACK:
        return Kind.LOST, f"{place} closed the connection while the request was on its way."
    return Kind.LOST, f"The connection to {place} broke before its answer was complete."


def too_large(target: Target, request: Request) -> tuple[Kind, str]:
    return (
        Kind.TOO_LARGE,
        f"The answer of {target.place} is larger than {request.max_bytes:,} bytes.",
    )
