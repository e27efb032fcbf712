"""Posts at a steady rate, and what is made of the times that they took."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol


class Reached(Protocol):
    """What can be posted to: an installation, or whatever else has an address."""

    url: str


class Posts(threading.Thread):
    """`rate` a second for `seconds`; `path(n)` names each post, and stands in its body."""

    def __init__(self, to: Reached, token: str, rate: int, seconds: int, path: Any) -> None:
        super().__init__()
        self.address = to.url.removeprefix("http://")
        self.token, self.rate, self.seconds, self.path = token, rate, seconds, path
        # When each was begun, by its path.
        self.sent: dict[str, float] = {}
        # What an event holds besides its path.
        self.more: Callable[[int], dict[str, Any]] = lambda n: {}

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address)
        begun = time.monotonic()
        for n in range(self.rate * self.seconds):
            time.sleep(max(0, begun + n / self.rate - time.monotonic()))
            path = self.path(n)
            self.sent[path] = time.monotonic()
            headers = {"Content-Type": "application/json"}
            body = json.dumps({"path": path, **self.more(n)})
            connection.request("POST", f"/hooks/{self.token}", body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 202, answer.status


def at(values: list[float], percent: int) -> float:
    """The percentile of sorted values."""
    return values[min(len(values) * percent // 100, len(values) - 1)]
