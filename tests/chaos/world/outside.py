"""The outside: an HTTP server that does what a seeded plan says, and logs what really arrived.

Each request that was read whole is one line: {"at", "until", "method", "path", "key", "n",
"action", "fate", "status", "nonce", "written", "body"}. `fate` is what the plan said: ok, slow,
error, busy or drop (closed without an answer). `nonce` stands in the answer and in no other one.
"""

import json
import random
import socket
import threading
import time
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.chaos.world.logs import Log, now

# Out of a hundred requests; all others are answered at once.
FATES = {"slow": 4, "error": 7, "busy": 3, "drop": 3}
STATUS = {"ok": 200, "slow": 200, "error": 500, "busy": 429}
SLOW = (1.0, 4.0)


def fate(seed: int, n: int, action: str, nth: int) -> str:
    """What the server does with the nth request (from 1) of an action for an event."""
    drawn = random.Random(f"{seed}:{n}:{action}:{nth}").random() * 100
    for name, share in FATES.items():
        drawn -= share
        if drawn < 0:
            return name
    return "ok"


class Outside:
    """Serving while entered. `/<action>` is what connectors call; `/send` takes messages."""

    def __init__(self, seed: int, log: Path) -> None:
        self.seed, self.log = seed, Log(log)
        self.asked: Counter[tuple[int, str]] = Counter()
        self.lock = threading.Lock()
        self.http = _Listener(("127.0.0.1", 0), _Handler)
        self.http.outside = self
        self.address = f"127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
        self.log.close()

    def fate_of(self, n: int, action: str) -> str:
        with self.lock:
            self.asked[n, action] += 1
            return fate(self.seed, n, action, self.asked[n, action])


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    outside: Outside

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers are killed in the middle of what they say: that is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        line = self._told(body)
        fate = self.server.outside.fate_of(line["n"], line["action"])
        line |= {"fate": fate, "status": STATUS.get(fate), "nonce": uuid.uuid4().hex}
        line["written"] = False
        try:
            self._answer(line)
        except OSError:
            self.close_connection = True
        finally:
            self.server.outside.log.write(**line, until=now())

    do_GET = do_POST = do_PUT = handle_any

    def _told(self, body: bytes) -> dict[str, Any]:
        parts = urlsplit(self.path)
        text = body.decode("utf-8", "replace")
        said = json.loads(text) if text.startswith("{") else parse_qs(parts.query)
        n = said.get("n", -1)
        return {
            "at": now(),
            "method": self.command,
            "path": parts.path,
            "action": parts.path.strip("/"),
            "n": int(n[0] if isinstance(n, list) else n),
            "key": self.headers.get("Idempotency-Key") or said.get("key", ""),
            "body": text,
        }

    def _answer(self, line: dict[str, Any]) -> None:
        chance = random.Random(line["nonce"])
        time.sleep(chance.uniform(*SLOW) if line["fate"] == "slow" else chance.uniform(0, 0.08))
        if line["fate"] == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        said = json.dumps({name: line[name] for name in ("nonce", "n", "action")}).encode()
        self.send_response(line["status"])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        if line["fate"] == "busy":
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(said)
        self.wfile.flush()
        line["written"] = True

    def log_message(self, format: str, *args: Any) -> None:
        pass
