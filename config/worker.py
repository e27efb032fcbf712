"""The worker of the web server: gunicorn's threads, but everyday posts to webhooks take an express
lane, nobody holds a thread for ever, and what is not HTTP is refused in the form that webhook
callers know."""

import json
import socket
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from time import monotonic
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT, TConn, ThreadWorker

from config import env

# How long a request may take to arrive. A thread waits for its caller: a few callers that send
# a byte now and then would hold them all.
SECONDS = env.number("SWITCHBOARD_REQUEST_SECONDS", 30)

REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
}
# What is not listed is 400. No sentence repeats the first line: the token is in it.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    errors.LimitRequestLine: (414, "The address is longer than 4,094 characters."),
    errors.LimitRequestHeaders: (431, "The headers are too many or too long."),
    errors.ExpectationFailed: (417, "The header Expect asks for something unknown."),
    errors.InvalidRequestLine: (400, "The first line of the request can't be read."),
    errors.InvalidRequestMethod: (400, "The method of the request can't be read."),
    errors.InvalidHTTPVersion: (400, "This version of HTTP is not spoken here."),
    errors.UnsupportedTransferCoding: (400, "This Transfer-Encoding is not taken: use chunked."),
}


class Worker(ThreadWorker):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Connections that a thread is busy with, and until when their requests must have come.
        self.until: dict[Any, float] = {}
        self.lane: Any = None

    def init_process(self) -> None:
        # Not before Django is set up, which this module is read for.
        from apps.engine import express
        from config.lane import Lane

        if express.is_offered() and not self.cfg.is_ssl:
            self.lane = Lane(partial(self.method_queue.defer, self.leave_lane))
        super().init_process()

    def accept(self, listener: Any) -> None:
        """A new connection waits for its first bytes with the others, not in a thread."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        conn = TConn(self.cfg, client, address, listener.getsockname())
        conn.timeout = monotonic() + DEFAULT_WORKER_DATA_TIMEOUT
        self.pending_conns.append(conn)
        self.poller.register(client, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def enqueue_req(self, conn: Any) -> None:
        if not (self.alive and self.lane and self.keeps_more() and self.lane.take(conn)):
            super().enqueue_req(conn)

    def keeps_more(self) -> bool:
        return len(self.keepalived_conns) < self.max_keepalived

    def leave_lane(self, answered: list[Any], usual: list[Any]) -> None:
        for conn in answered:
            conn.set_timeout()
            self.keepalived_conns.append(conn)
            self.poller.register(
                conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn)
            )
        for conn in usual:
            super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        conn.has_arrived = conn.is_late = False
        self.until[conn] = monotonic() + SECONDS
        try:
            result = super().handle(conn)
        finally:
            del self.until[conn]
        if conn.is_late and not conn.has_arrived:
            refuse(conn.sock, 408, f"The request did not arrive within {SECONDS} seconds.")
        return result

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Its headers have arrived; what is missing of its body is the application's business."""
        conn.has_arrived = True
        return super().handle_request(req, conn)

    def murder_keepalived(self, *args: Any, **kwargs: Any) -> None:
        """Called every second: also let those end that wait for their callers too long. To them it
        looks as if the caller had said goodbye; answers can still be written."""
        super().murder_keepalived(*args, **kwargs)
        now = monotonic()
        for conn in [conn for conn, until in list(self.until.items()) if until < now]:
            conn.is_late = True
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RD)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        if not isinstance(exc, errors.ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status, sentence = REFUSALS.get(type(exc), (400, f"The request can't be read: {exc}."))
        self.log.warning("A request of %s was refused: %s", addr[0] if addr else "?", exc)
        refuse(client, status, sentence)


def refuse(client: Any, status: int, sentence: str) -> None:
    """Answer before there is a request that the application could answer."""
    body = json.dumps({"status": "error", "detail": sentence})
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with suppress(OSError):
        util.write_nonblock(client, f"{head}{body}".encode("ascii"))
