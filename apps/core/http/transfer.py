"""One call on one libcurl handle: set it up, watch it, read what became of it."""

import ipaddress
import socket
import time
from collections.abc import Hashable
from typing import Any

import certifi
import pycurl

from apps.core.clock import uptime
from apps.core.http import failures, headers, redirects, urls
from apps.core.http.guard import Guard
from apps.core.http.messages import Failure, Kind, Request, Response, first
from apps.core.http.resting import Resting
from apps.core.http.urls import Refused, Target

CONNECT_SECONDS = 15
LATE = "It did not leave: the worker had been stopped for a while."
WITHDRAWN = "It did not leave: the worker was stopped before it reached the server."
# Methods that may arrive twice without harm (RFC 9110, 9.2.2).
_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
_WITH_LENGTH = frozenset(("POST", "PUT", "PATCH"))
# A kept connection is taken again when it rested for at most so many seconds. Servers close resting
# connections (gunicorn after 2 s, Node after 5), and a request that crosses that close is lost: an
# idempotent one is simply sent again, any other one ends as unknown.
_REST_IDEMPOTENT, _REST = 60, 1


class Transfer:
    """A handle and the request it works on. Handles are used again, request after request."""

    def __init__(self, guard: Guard, resting: Resting) -> None:
        self._guard = guard
        self._resting = resting
        self.easy = pycurl.Curl()
        self.token: Hashable = None
        self._set_up()

    def _set_up(self) -> None:
        """What is the same for every request."""
        easy, proxy, ca_file = self.easy, self._guard.proxy, self._guard.ca_file
        for option, value in (
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            # One request at a time on a connection: that is how a lost answer can be told.
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.HTTP09_ALLOWED, 0),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.CAINFO, ca_file or certifi.where()),
            (pycurl.PROXY_CAINFO, ca_file or certifi.where()),
            # Empty, not unset: then libcurl doesn't look into the environment.
            (pycurl.PROXY, proxy),
            (pycurl.NOPROXY, ""),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.ACCEPT_ENCODING, "gzip, deflate"),
            (pycurl.USERAGENT, "Switchboard"),
            (pycurl.DNS_CACHE_TIMEOUT, 30),
            (pycurl.NOSIGNAL, 1),
            # The smallest there is: every handle keeps its buffer, 64 KB if not told.
            (pycurl.UPLOAD_BUFFERSIZE, 16_384),
            (pycurl.OPENSOCKETFUNCTION, self._open_socket),
            (pycurl.PREREQFUNCTION, self._before_sending),
            (pycurl.HEADERFUNCTION, self._take_header),
            (pycurl.WRITEFUNCTION, self._take_body),
        ):
            easy.setopt(option, value)

    def begin(self, token: Hashable, request: Request, leave_by: float | None = None) -> None:
        """Make ready for a new request; raises Refused."""
        self.token = token
        self._leave_by = leave_by
        self._started = time.monotonic()
        self._hops = 0
        self._sent = False
        headers.check(request)
        target = urls.read(request.url)
        if request.bound:
            request.bound.check(target)
        self._prepare(request, target)

    def _prepare(self, request: Request, target: Target) -> None:
        """Set up one hop; raises Refused."""
        self._guard.check(target)
        self._request, self._target = request, target
        self._header_lines: list[bytes] = []
        self._head_is_whole = False
        self._body = bytearray()
        self._too_large = False
        self._refusal: str | None = None
        self._sendings = 0
        self._dialled = self._stale = False
        easy, method = self.easy, request.method
        body = b"" if request.body is None and method in _WITH_LENGTH else request.body
        easy.setopt(pycurl.URL, target.url)
        easy.setopt(pycurl.HTTPGET, 1)  # forgets the body of the request before
        if body is not None:
            easy.setopt(pycurl.POSTFIELDS, body)
        if method == "HEAD":
            easy.setopt(pycurl.NOBODY, 1)
        easy.setopt(pycurl.CUSTOMREQUEST, method)
        easy.setopt(pycurl.FRESH_CONNECT, 0)
        easy.setopt(pycurl.HTTPHEADER, headers.lines(request.headers, body is not None))
        self._may_repeat = method in _IDEMPOTENT
        easy.setopt(pycurl.MAXAGE_CONN, _REST_IDEMPOTENT if self._may_repeat else _REST)
        left_ms = self._left_ms()
        easy.setopt(pycurl.TIMEOUT_MS, left_ms)
        easy.setopt(pycurl.CONNECTTIMEOUT_MS, min(left_ms, CONNECT_SECONDS * 1000))

    # --- Called by libcurl ---------------------------------------------------------------------

    def _open_socket(self, purpose: int, address: Any) -> socket.socket | int:
        """The address that is really dialled, whatever the URL and the name server said."""
        if not self._guard.proxy:
            try:
                self._guard.check_address(self._target, ipaddress.ip_address(address.addr[0]))
            except Refused as refused:
                self._refusal = str(refused)
                return int(pycurl.SOCKET_BAD)
        self._dialled = True
        return socket.socket(address.family, address.socktype, address.protocol)

    def _before_sending(self, *ends: Any) -> int:
        """There is a connection, and the request goes out now. Called a second time when a kept
        connection died before the first byte of the answer, and libcurl sends again on another."""
        if self._is_late():
            return int(pycurl.PREREQFUNC_ABORT)
        if not self._may_repeat:
            if self._sendings:
                return int(pycurl.PREREQFUNC_ABORT)
            if not self._dialled and not self._resting.is_open(ends):
                self._stale = True
                return int(pycurl.PREREQFUNC_ABORT)
        self._ends = ends
        self._sendings += 1
        self._sent = True
        return int(pycurl.PREREQFUNC_OK)

    def _is_late(self) -> bool:
        """Its time to leave is over: whoever asked may have been taken for dead meanwhile."""
        return not self._sent and self._leave_by is not None and uptime() > self._leave_by

    def _take_header(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):
            # Of several heads (100 Continue, a proxy's answer) the last one counts.
            self._header_lines.clear()
            self._head_is_whole = False
        elif line in (b"\r\n", b"\n"):
            self._head_is_whole = True
        self._header_lines.append(line)

    def _take_body(self, data: bytes) -> int | None:
        if len(self._body) + len(data) > self._request.max_bytes:
            self._too_large = True
            return 0
        self._body += data
        return None

    # --- What became of it ---------------------------------------------------------------------

    def keep(self) -> None:
        """The connection may rest now. (To be called while the handle is still in use.)"""
        self._resting.keep(self._ends, self.easy.getinfo(pycurl.ACTIVESOCKET))

    def answered(self) -> Response | Failure | None:
        """The answer that came whole; None: a redirect is to be followed, the handle is ready."""
        if not self._head_is_whole:
            # libcurl takes the end of the connection for the end of the headers.
            return self.broken(pycurl.E_RECV_ERROR, "")
        response = self._response()
        location = first(response.headers, "location")
        follow = self._request.max_redirects and location is not None
        if response.status not in redirects.STATUSES or not follow or location is None:
            return response
        try:
            if self._hops == self._request.max_redirects:
                raise Refused(f"There were more than {self._hops} redirects.")
            self._hops += 1
            self._prepare(
                *redirects.next_request(self._request, self._target, response.status, location)
            )
        except Refused as refused:
            return self.refused(str(refused))
        return None

    def broken(self, errno: int, message: str) -> Failure | None:
        """libcurl gave up with this error number and text; None: it is to be tried on a new
        connection (nothing was sent), and the handle is ready."""
        if self._stale:
            self._stale = False
            self.easy.setopt(pycurl.FRESH_CONNECT, 1)
            self.easy.setopt(pycurl.TIMEOUT_MS, self._left_ms())
            return None
        if self._is_late():
            return Failure(LATE, Kind.LATE, sent=False, took_us=self._took_us())
        if self._refusal and errno != pycurl.E_OPERATION_TIMEDOUT and not self._sendings:
            return self.refused(self._refusal)
        if self._too_large:
            kind, reason = failures.too_large(self._target, self._request)
        else:
            kind, reason = failures.explain(
                errno, message, self._target, self._request, bool(self._sendings)
            )
            if self._guard.proxy:
                reason += " (Calls go through the proxy.)"
        return Failure(reason, kind, self._sent, self._took_us())

    def rest(self) -> None:
        """Keep nothing of a call that has ended."""
        self._header_lines, self._body = [], bytearray()
        self.token = None
        self.easy.setopt(pycurl.POSTFIELDS, b"")

    def refused(self, reason: str) -> Failure:
        return Failure(reason, Kind.REFUSED, self._sent, self._took_us())

    @property
    def has_left(self) -> bool:
        """Whether a byte of the request may have left for a server."""
        return self._sent

    def withdrawn(self) -> Failure:
        return Failure(WITHDRAWN, Kind.LATE, sent=False, took_us=self._took_us())

    def unreadable(self) -> Failure:
        """There was an answer, and we failed at it."""
        reason = f"The answer of {self._target.place} could not be read."
        return Failure(reason, Kind.LOST, self._sent, self._took_us())

    def _left_ms(self) -> int:
        left = self._started + self._request.deadline - time.monotonic()
        return max(1, int(left * 1000))

    def _took_us(self) -> int:
        return int((time.monotonic() - self._started) * 1_000_000)

    def _response(self) -> Response:
        status_line, *lines = (line.decode("latin-1").strip() for line in self._header_lines)
        pairs = (line.partition(":") for line in lines if ":" in line)
        return Response(
            status=self.easy.getinfo(pycurl.RESPONSE_CODE),
            reason=" ".join(status_line.split(" ")[2:]),
            headers=tuple((name.strip(), value.strip()) for name, _, value in pairs),
            body=bytes(self._body),
            url=self._target.url,
            took_us=self._took_us(),
        )
