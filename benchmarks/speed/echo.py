"""The server that benchmarks call: answers at once or late, and remembers when it was asked."""

import asyncio
import json
import threading
import time
from urllib.parse import unquote

BODY = b'{"id": "r-1"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY


class Echo:
    """Answers POSTs on any path with {"id": …}; on /late/<seconds>/… after so long. All in one
    thread, so that hundreds of calls that wait cost nothing."""

    def __init__(self) -> None:
        # By path and, where the body names one, by path and event: /first/e-1.
        self.asked_at: dict[str, float] = {}
        self._loop = asyncio.new_event_loop()
        ready = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=512)
        server = self._loop.run_until_complete(ready)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        threading.Thread(target=self._loop.run_forever, daemon=True).start()


class _Connection(asyncio.Protocol):
    """Requests come one after the other, none before the answer to the one before."""

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, whole, rest = self._received.partition(b"\r\n\r\n")
        if not whole:
            return
        first_line, *lines = head.decode("latin-1").split("\r\n")
        length = next((int(x[15:]) for x in lines if x.lower().startswith("content-length:")), 0)
        if len(rest) >= length:
            self._received = rest[length:]
            self._answer(unquote(first_line.split(" ")[1]), rest[:length])

    def _answer(self, path: str, body: bytes) -> None:
        event = json.loads(body).get("event_id") if body.startswith(b"{") else None
        self._echo.asked_at[f"{path}/{event}" if event else path] = time.monotonic()
        _, kind, *more = path.split("/")
        late = float(more[0]) if kind == "late" else 0.0
        asyncio.get_running_loop().call_later(late, self._transport.write, ANSWER)
