"""What becomes of a request that is answered with a redirect. libcurl doesn't follow by itself:
it would send a caller's own headers (X-Api-Key …) to whatever host the redirect names."""

from dataclasses import replace

from apps.core.http import urls
from apps.core.http.messages import Headers, Request
from apps.core.http.urls import Refused, Target

STATUSES = frozenset((301, 302, 303, 307, 308))
# What another server may see. Everything else could be a secret.
# fmt: off
_HARMLESS = frozenset((
    "accept", "accept-language", "accept-encoding", "content-type", "content-language",
    "user-agent", "idempotency-key",
))
# fmt: on


def next_request(
    request: Request, target: Target, status: int, location: str
) -> tuple[Request, Target]:
    """The request that follows, as browsers do it; raises Refused."""
    to = urls.follow(target, location)
    if (target.scheme, to.scheme) == ("https", "http"):
        raise Refused(f"{target.place} redirects from https to plain http; that is not followed.")
    method, headers, body = request.method, request.headers, request.body
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
        headers = tuple(pair for pair in headers if not pair[0].lower().startswith("content-"))
    if not same_server(target, to):
        headers = harmless(headers)
    if request.bound is not None and not request.bound.may_go(to):
        headers = harmless(request.bound.without(headers))
        if request.bound.is_in(to, body):
            raise Refused(
                f"{target.place} redirects to {to.place}, where the credential "
                f'"{request.bound.credential}" may not go.'
            )
    return replace(request, method=method, url=to.url, headers=headers, body=body), to


def same_server(one: Target, other: Target) -> bool:
    """Whether secrets for the one may be shown to the other: the same origin, or the same host
    that asks to be called by https from now on."""
    if one.host != other.host:
        return False
    places = (one.scheme, one.port), (other.scheme, other.port)
    return places[0] == places[1] or places == (("http", 80), ("https", 443))


def harmless(headers: Headers) -> Headers:
    return tuple(pair for pair in headers if pair[0].lower() in _HARMLESS)
