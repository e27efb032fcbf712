"""make prove, PART=slow: do slow endpoints of one connector hold up another? Written to slow.md."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps.core import clock
from benchmarks.speed import machine
from benchmarks.speed.echo import Echo
from benchmarks.speed.figures import SHARE, fresh, of
from tests.installation import ROOT, Installation

RESULT = Path(__file__).parent.parent / "slow.md"
PAIRS, SECONDS, LATE = 3, 40, 30
BUSY_RATE, OTHER_RATE = 40, 10


def main(server: str) -> None:
    echo = Echo()
    with fresh(server) as installation:
        installation.env["SWITCHBOARD_HTTP_ALLOW"] = "127.0.0.1"
        installation.env["SWITCHBOARD_HTTP_PER_MINUTE"] = "0"
        busy, other = (_connector(installation, echo, name) for name in ("busy", "other"))
        installation.serve()
        installation.work()
        time.sleep(5)
        _window(installation, echo, busy, other, 5, "warm", late=False)
        pairs = []
        for number in range(1, PAIRS + 1):
            plain = _window(installation, echo, busy, other, of(SECONDS), f"p{number}", late=False)
            slow = _window(installation, echo, busy, other, of(SECONDS), f"s{number}", late=True)
            pairs.append((plain, slow))
            time.sleep(LATE + 3)  # the last slow calls end
    _write(server, pairs)


def _connector(installation: Installation, echo: Echo, name: str) -> str:
    """A connector that calls the path that its event names; its token."""
    return str(
        installation.python(
            "from apps.actions.kinds.http_api import HttpApi\n"
            "from tests.factories import published\n"
            f"call = {{'url': '{echo.url}/{{{{ event.path | default: \"x\" }}}}',"
            " 'body_type': 'raw', 'body': 'x'}\n"
            f"print(json.dumps(published([(HttpApi, call)], name={name!r}).token))"
        )
    )


def _window(
    installation: Installation,
    echo: Echo,
    busy: str,
    other: str,
    seconds: int,
    mark: str,
    late: bool,
) -> list[float]:
    """Post to both connectors at their rates; milliseconds from each post to `other` to its call,
    sorted. With `late`, one call in twenty of `busy` is answered after LATE seconds."""

    def path(n: int) -> str:
        return f"late/{LATE}/{mark}-{n}" if late and n % 20 == 0 else f"now/{mark}-{n}"

    busy_posts = _Posts(installation, busy, BUSY_RATE, seconds, path)
    posts = _Posts(installation, other, OTHER_RATE, seconds, lambda n: f"now/other-{mark}-{n}")
    for thread in (busy_posts, posts):
        thread.start()
    for thread in (busy_posts, posts):
        thread.join()
    time.sleep(2)
    took = [(echo.asked_at[f"/{path}"] - at) * 1000 for path, at in posts.sent.items()]
    return sorted(took)


class _Posts(threading.Thread):
    """Posts at a steady rate."""

    def __init__(
        self, installation: Installation, token: str, rate: int, seconds: int, path: Any
    ) -> None:
        super().__init__()
        self.address = installation.url.removeprefix("http://")
        self.token, self.rate, self.seconds, self.path = token, rate, seconds, path
        self.sent: dict[str, float] = {}
        # What an event holds besides its path.
        self.more: Callable[[int], dict[str, str]] = lambda n: {}

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


def _at(values: list[float], percent: int) -> float:
    return values[min(len(values) * percent // 100, len(values) - 1)]


def _write(server: str, pairs: list[tuple[list[float], list[float]]]) -> None:
    lines = [
        "# Slow endpoints of one connector, and the others",
        "",
        f"`PART=slow make prove`, {clock.now():%Y-%m-%d}, share {SHARE:g} of the full size. "
        f"{machine.shape(server)}. One connector makes {BUSY_RATE} calls a second; in the "
        f"second window of a pair one in twenty is answered after {LATE} seconds. Milliseconds "
        f"from posting an event to another connector ({OTHER_RATE} a second) to its call.",
        "",
        "| pair | all fast: p50 | p99 | 5 % slow: p50 | p99 | p99 ratio |",
        "|---|---|---|---|---|---|",
    ]
    for number, (plain, slow) in enumerate(pairs, 1):
        lines.append(
            f"| {number} | {_at(plain, 50):.1f} | {_at(plain, 99):.1f} | {_at(slow, 50):.1f} | "
            f"{_at(slow, 99):.1f} | {_at(slow, 99) / _at(plain, 99):.2f} |"
        )
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")
    print(f"Written to {RESULT.relative_to(ROOT)}")
