"""make prove, PART=slow: do slow endpoints of one connector hold up another? Written to slow.md."""

import time
from pathlib import Path

from apps.core import clock
from benchmarks.speed import machine
from benchmarks.speed.echo import Echo
from benchmarks.speed.figures import SHARE, fresh, of
from benchmarks.speed.posting import Posts, at
from tests.installation import ROOT, Installation

RESULT = Path(__file__).parent.parent / "slow.md"
PAIRS, SECONDS, LATE = 3, 40, 30
BUSY_RATE, OTHER_RATE = 40, 10


def main(server: str) -> None:
    echo = Echo()
    with fresh(server) as installation:
        installation.env["SWITCHBOARD_HTTP_ALLOW"] = "127.0.0.1"
        installation.env["SWITCHBOARD_HTTP_PER_MINUTE"] = "0"
        busy, other = (connector(installation, echo, name) for name in ("busy", "other"))
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


def connector(installation: Installation, echo: Echo, name: str) -> str:
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

    busy_posts = Posts(installation, busy, BUSY_RATE, seconds, path)
    posts = Posts(installation, other, OTHER_RATE, seconds, lambda n: f"now/other-{mark}-{n}")
    for thread in (busy_posts, posts):
        thread.start()
    for thread in (busy_posts, posts):
        thread.join()
    time.sleep(2)
    took = [(echo.asked_at[f"/{path}"] - sent) * 1000 for path, sent in posts.sent.items()]
    return sorted(took)


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
            f"| {number} | {at(plain, 50):.1f} | {at(plain, 99):.1f} | {at(slow, 50):.1f} | "
            f"{at(slow, 99):.1f} | {at(slow, 99) / at(plain, 99):.2f} |"
        )
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")
    print(f"Written to {RESULT.relative_to(ROOT)}")
