"""A server on loopback that does exactly what a test tells it, byte by byte."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class Received:
    connection: int
    line: str
    headers: dict[str, str]
    body: bytes


class Talk:
    """One connection, seen from the server."""

    def __init__(self, server: "Server", sock: socket.socket, number: int) -> None:
        self.server, self.sock, self.number = server, sock, number
        self._buffer = b""

    def read(self) -> Received | None:
        """The next request, or None when the client is gone."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (each.partition(":") for each in lines)}
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        received = Received(self.number, line, headers, body)
        self.server.received.append(received)
        return received

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self._buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, body: bytes = b"", status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@dataclass
class Server:
    """Hands each connection to `script` in a thread of its own, and closes it afterwards."""

    script: Callable[[Talk], None]
    tls: ssl.SSLContext | None = None
    family: int = socket.AF_INET
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        host = "127.0.0.1" if self.family == socket.AF_INET else "::1"
        self._socket = socket.create_server((host, 0), family=self.family, backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._socket.accept()
                self.connections += 1
                self._open.append(sock)
                threading.Thread(
                    target=self._serve, args=(sock, self.connections), daemon=True
                ).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            with sock:
                self.script(Talk(self, sock, number))

    def close(self) -> None:
        """Also ends the connections, and so the scripts that wait on them."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def steadily(body: bytes = b"ok", status: str = "200 OK", *headers: str) -> Callable[[Talk], None]:
    """The same answer to every request, on connections that stay open."""

    def script(talk: Talk) -> None:
        while talk.read():
            talk.answer(body, status, *headers)

    return script


def once(raw: bytes) -> Callable[[Talk], None]:
    """These bytes for one request, then the connection is closed."""

    def script(talk: Talk) -> None:
        talk.read()
        talk.send(raw)

    return script
