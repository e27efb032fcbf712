"""make prove, PART=beside: does one connector's trouble hold up another? Written to beside.md.

Three kinds of trouble: messages through a gateway that takes half a minute for each, two events of
869 KB whose texts take all the time that they get, and the deletion of a connector with 60,000
sleeping runs. Each is measured in pairs of windows, without and with it. PROVE_BESIDE names one.
"""

import http.client
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psycopg

from apps.core import clock
from benchmarks.speed import machine
from benchmarks.speed.echo import Echo
from benchmarks.speed.figures import SHARE, fresh, of
from benchmarks.speed.posting import Posts, at
from benchmarks.speed.slow import connector
from tests.installation import ROOT, Installation

RESULT = Path(__file__).parent.parent / "beside.md"
PAIRS, SECONDS, RATE = 5, 60, 50
LATE, SENDS_RATE, SLEEPERS = 30, 2, 60_000
# What stalled all automations for eight minutes once: the list, and texts that go through it.
POISON = {"items": [f"{n:020d}-{n % 97}" for n in range(33_000)]}
TEXTS = (
    "{{ event.items | uniq | sort | reverse | join: ',' | replace: '1', '22' | size }}",
    "{% for a in event.items %}{% for b in event.items %}{{ a | append: b | upcase }}{% endfor %}"
    "{% endfor %}",
)
# What a form and its cookie have to agree on.
TOKEN = "b" * 32
OPEN_JOB = "SELECT 1 FROM engine_ending WHERE state IN ('waiting', 'working') LIMIT 1"

Pair = tuple[list[float], list[float]]


def main(server: str) -> None:
    echo = Echo()
    with fresh(server) as installation:
        installation.env["SWITCHBOARD_HTTP_ALLOW"] = "127.0.0.1"
        installation.env["SWITCHBOARD_HTTP_PER_MINUTE"] = "0"
        other = connector(installation, echo, "other")
        sender, poisoned = _sender(installation), _poisoned(installation, echo)
        installation.serve()
        # The workers, with a gateway that speaks to the echo.
        installation._start("-m", "benchmarks.speed.gateway", echo.url)
        time.sleep(5)
        _window(installation, echo, other, 5, "warm", None)
        kinds = {
            "slow gateway": lambda mark: _send(installation, sender, mark),
            "two poisonous events": lambda mark: _poison(installation, poisoned),
            "60,000 runs deleted": lambda mark: _remove(installation, mark),
        }
        only = os.environ.get("PROVE_BESIDE", "")
        cases = {}
        for name, trouble in kinds.items():
            if only in name:
                cases[name] = _pairs(installation, echo, other, trouble)
                time.sleep(LATE + 3 if name == "slow gateway" else 3)
    _write(server, cases)


def _sender(installation: Installation) -> str:
    """A connector that sends one message for each event; its token."""
    return str(
        installation.python(
            "from apps.actions.kinds.send_message import SendMessage\n"
            "from tests.factories import ChannelFactory, published\n"
            "send = {'channel': ChannelFactory(driver='http-test'), 'text': '{{ event.path }}',"
            " 'recipients': [{'to': '{{ event.to }}'}]}\n"
            "print(json.dumps(published([(SendMessage, send)], name='sender').token))"
        )
    )


def _send(installation: Installation, token: str, mark: str) -> threading.Thread:
    posts = Posts(installation, token, SENDS_RATE, of(SECONDS), lambda n: f"{mark}-{n}")
    posts.more = lambda n: {"to": f"+49151{abs(hash((mark, n))) % 10**8:08d}"}
    return posts


def _poisoned(installation: Installation, echo: Echo) -> str:
    """A connector with two texts that never end by themselves; its token."""
    calls = [{"url": f"{echo.url}/poison", "body_type": "raw", "body": text} for text in TEXTS]
    return str(
        installation.python(
            "from apps.actions.kinds.http_api import HttpApi\n"
            "from tests.factories import published\n"
            f"made = published([(HttpApi, call) for call in {calls!r}], name='poisoned')\n"
            "print(json.dumps(made.token))"
        )
    )


def _poison(installation: Installation, token: str) -> threading.Thread:
    """Two of them, at a third and at two thirds of the window."""

    def post() -> None:
        for _ in range(2):
            time.sleep(of(SECONDS) / 3)
            connection = http.client.HTTPConnection(installation.url.removeprefix("http://"))
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/hooks/{token}", json.dumps(POISON), headers)
            status = connection.getresponse().status
            assert status == 202, status

    return threading.Thread(target=post)


def _remove(installation: Installation, mark: str) -> threading.Thread:
    """Made before the windows begin; deleted in the midst of one, by the page of a running web
    process: a process of ours that starts meanwhile would hold up others by itself. Ends when the
    last run has."""
    count = of(SLEEPERS)
    page, cookies = installation.python(
        f"""
from datetime import timedelta
from apps.actions.kinds.delay import Delay as Sleep
from apps.core import clock
from apps.engine.models import Delay, Event, Run
from tests.factories import published
made = published([(Sleep, {{"amount": 5, "unit": "days"}})], name="{mark}")
event, now = Event.objects.create(connector=made), clock.now()
rows = [Run(event=event, connector=made, revision_id=made.published_id, state="waiting",
            position=0, wake_at=now, started_at=now) for _ in range({count})]
Run.objects.bulk_create(rows, batch_size=5000)
ids = Run.objects.filter(connector=made).values_list("pk", flat=True)
Delay.objects.bulk_create([Delay(run_id=pk, connector=made, label="Sleeps",
    action_uid="00000000-0000-0000-0000-000000000001",
    wake_at=now + timedelta(days=5)) for pk in ids], batch_size=5000)
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
client = Client(HTTP_HOST="127.0.0.1")
client.force_login(get_user_model().objects.get(is_superuser=True))
session = client.cookies[settings.SESSION_COOKIE_NAME].value
print(json.dumps([
    f"/admin/connectors/connector/{{made.pk}}/delete/",
    f"{{settings.SESSION_COOKIE_NAME}}={{session}}; {{settings.CSRF_COOKIE_NAME}}={TOKEN}",
]))
"""
    )

    def delete() -> None:
        time.sleep(of(SECONDS) / 6)
        connection = http.client.HTTPConnection(installation.url.removeprefix("http://"))
        form = f"post=yes&csrfmiddlewaretoken={TOKEN}"
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", page, form, headers)
        status = connection.getresponse().status
        assert status == 302, status
        while installation.query(OPEN_JOB):
            time.sleep(2)

    return threading.Thread(target=delete)


def _pairs(
    installation: Installation,
    echo: Echo,
    other: str,
    trouble: Callable[[str], threading.Thread],
) -> list[Pair]:
    pairs = []
    for number in range(1, PAIRS + 1):
        mark = f"{time.monotonic_ns()}-{number}"
        # Prepared before the first window: both see the same tables, and rest from the same writes.
        beside = trouble(f"trouble{mark}")
        settle(installation)
        plain = _window(installation, echo, other, of(SECONDS), f"plain{mark}", None)
        troubled = _window(installation, echo, other, of(SECONDS), f"beside{mark}", beside)
        pairs.append((plain, troubled))
        print(f"p99 {at(plain, 99):.1f} ms, beside it {at(troubled, 99):.1f} ms", flush=True)
    return pairs


def settle(installation: Installation) -> None:
    """What the server would do of itself in the minutes after rows were made in bulk: else it does
    so in the first window."""
    with psycopg.connect(installation.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _window(
    installation: Installation,
    echo: Echo,
    other: str,
    seconds: int,
    mark: str,
    beside: threading.Thread | None,
) -> list[float]:
    """Milliseconds from each post to its call, sorted."""
    posts = Posts(installation, other, RATE, seconds, lambda n: f"now/{mark}-{n}")
    threads = [posts, *([beside] if beside else [])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(2)
    return sorted((echo.asked_at[f"/{path}"] - sent) * 1000 for path, sent in posts.sent.items())


def _write(server: str, cases: dict[str, list[Pair]]) -> None:
    lines = [
        "# One connector's trouble, and the others",
        "",
        f"`PART=beside make prove`, {clock.now():%Y-%m-%d}, share {SHARE:g} of the full size. "
        f"{machine.shape(server)}. Events are posted to one connector at {RATE} a second for "
        f"{SECONDS} s; milliseconds from each post to its call. In the second window of a pair, "
        f"another connector sends {SENDS_RATE} messages a second through a gateway that takes "
        f"{LATE} s for each, two events of {len(json.dumps(POISON)) // 1000} KB come to texts that "
        f"never end by themselves, or a connector with {SLEEPERS:,} sleeping runs is deleted.",
        "",
        "| trouble | pair | without: p50 | p99 | with: p50 | p99 | p99 ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, pairs in cases.items():
        for number, (plain, beside) in enumerate(pairs, 1):
            lines.append(
                f"| {name} | {number} | {at(plain, 50):.1f} | {at(plain, 99):.1f} | "
                f"{at(beside, 50):.1f} | {at(beside, 99):.1f} | "
                f"{at(beside, 99) / at(plain, 99):.2f} |"
            )
        ratio = median(at(beside, 99) / at(plain, 99) for plain, beside in pairs)
        lines.append(f"| {name} | **median** | | | | | **{ratio:.2f}** |")
    RESULT.write_text("\n".join(lines) + "\n")
    print(f"Written to {RESULT.relative_to(ROOT)}")
