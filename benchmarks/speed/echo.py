"""The server that benchmarks call: answers at once or late, and remembers when it was asked."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


class Echo(ThreadingHTTPServer):
    """Answers POSTs on any path with {"id": …}; on /late/<seconds>/… after so long."""

    daemon_threads = True
    request_queue_size = 512  # a few hundred calls begin in the same moment

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked_at: dict[str, float] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        at = time.monotonic()
        self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        path = unquote(self.path)  # attributes in a URL are encoded
        server.asked_at[path] = at
        _, kind, *rest = path.split("/")
        if kind == "late":
            time.sleep(float(rest[0]))
        body = b'{"id": "r-1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass
