"""Calls that may wait: `call` for one request, `session` for code that speaks requests.

Both go through a pool, so that there is one guard, one deadline and one size limit: of requests,
only the surface is used (docs/adr/0007-one-way-out.md).
"""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from apps.core.http.guard import Guard
from apps.core.http.messages import MIB, Failure, Headers, Request, Response
from apps.core.http.pool import Pool


class CallFailed(requests.RequestException):
    """There is no answer; the message is a sentence for people, `failure` says the rest."""

    def __init__(self, failure: Failure, request: requests.PreparedRequest) -> None:
        super().__init__(failure.reason, request=request)
        self.failure = failure


def call(request: Request, guard: Guard | None = None) -> Response | Failure:
    """Make one call and wait for its end, at most its deadline."""
    with closing(Pool(guard)) as pool:
        return _wait(pool, request)


def session(
    guard: Guard | None = None, *, deadline: float = 60.0, max_bytes: int = MIB
) -> requests.Session:
    """A requests session behind the guard, for one thread; close it after use.

    `deadline`: seconds for a whole call, redirects included, unless the call names a `timeout`;
    `max_bytes`: of an answer. A call without an answer raises CallFailed. Redirects leave no
    `history`, cookies are not kept, and certificates are always verified.
    """
    return _Session(_Door(guard, deadline, max_bytes))


class _Session(requests.Session):
    def __init__(self, door: "_Door") -> None:
        super().__init__()
        self.trust_env = False  # neither proxies nor passwords from the environment
        self.max_redirects = 3
        self.headers = CaseInsensitiveDict()
        self.adapters.clear()
        self.mount("http", door)
        self._door = door

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """As in requests, but it is the pool that follows redirects."""
        follow = kwargs.pop("allow_redirects", True)
        self._door.max_redirects = self.max_redirects if follow else 0
        return super().send(request, allow_redirects=False, **kwargs)


class _Door(BaseAdapter):
    """What requests believes to be its transport."""

    def __init__(self, guard: Guard | None, deadline: float, max_bytes: int) -> None:
        super().__init__()
        self.max_redirects = 0
        self._guard = guard
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._pool: Pool | None = None

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        if verify is not True or cert or proxies:
            raise ValueError("Trust and proxies are settings of the installation, not of a call.")
        self._pool = self._pool or Pool(self._guard)
        seconds = sum(part or 0 for part in timeout) if isinstance(timeout, tuple) else timeout
        asked = Request(
            method=request.method or "GET",
            url=request.url or "",
            headers=_headers(request),
            body=_body(request),
            deadline=seconds or self._deadline,
            max_bytes=self._max_bytes,
            max_redirects=self.max_redirects,
        )
        result = _wait(self._pool, asked)
        if isinstance(result, Failure):
            raise CallFailed(result, request)
        return _as_requests(result, request)

    def close(self) -> None:
        if self._pool:
            self._pool.close()
            self._pool = None


def _wait(pool: Pool, request: Request) -> Response | Failure:
    pool.start(None, request)
    while not (results := pool.poll(request.deadline)):
        pass  # libcurl holds the deadline; a few milliseconds may be missing
    return results[0][1]


def _headers(request: requests.PreparedRequest) -> Headers:
    return tuple(
        (_text(name), _text(value))
        for name, value in request.headers.items()
        if _text(name).lower() != "content-length"  # libcurl counts for itself
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _body(request: requests.PreparedRequest) -> bytes | None:
    body = request.body
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    raise ValueError("A body must be text or bytes; read the file first.")


def _as_requests(result: Response, request: requests.PreparedRequest) -> requests.Response:
    response = requests.Response()
    response.status_code = result.status
    response.reason = result.reason
    response.url = result.url
    response.request = request
    for name, value in result.headers:
        before = response.headers.get(name)
        response.headers[name] = f"{before}, {value}" if before else value
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response._content = result.body
    return response
