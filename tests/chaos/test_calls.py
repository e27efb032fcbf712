"""Outside calls of a real installation: killed in flight, and over the account's limit."""

import os
import signal
import time
from collections import Counter

import pytest

from tests.chaos.scenario import descendants
from tests.installation import installed
from tests.run import find_postgresql
from tests.servers import serving

pytestmark = [pytest.mark.chaos, pytest.mark.once, pytest.mark.timeout(600)]
LIMIT = 200  # only guards against hanging
OPEN = "SELECT count(*) FROM engine_run WHERE state IN ('due', 'leased', 'waiting')"


@pytest.fixture
def server():
    with serving() as made:
        yield made


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def installation(request, tmp_path, server):
    database = find_postgresql() if request.param == "PostgreSQL" else ""
    if request.param == "PostgreSQL" and not database:
        pytest.skip("no PostgreSQL answers")
    with installed(tmp_path, database) as made:
        made.env["SWITCHBOARD_HTTP_ALLOW"] = server.url.removeprefix("http://")
        made.env["SWITCHBOARD_LOG_LEVEL"] = "CRITICAL"
        yield made


def publish(installation, server, events, **columns):
    """A connector with one call to the server, and so many posted events."""
    installation.python(
        f"""
from django.test import Client
from apps.actions.kinds.http_api import HttpApi
from tests.factories import published
call = {{"url": "{server.url}/ask", "body_type": "json", "body": '{{"n": "{{{{ event.n }}}}"}}'}}
connector = published([(HttpApi, {{**call, **{columns!r}}})])
for n in range({events}):
    path = "/hooks/" + connector.token
    answer = Client().post(path, {{"n": n}}, content_type="application/json", HTTP_HOST="127.0.0.1")
    assert answer.status_code == 202, answer.content
"""
    )


def until(true, what):
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def kill_everything(worker):
    for pid in descendants(worker.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    worker.wait()


@pytest.mark.parametrize("safe", [True, False], ids=["safe to repeat", "not safe to repeat"])
def test_a_kill_in_flight_loses_nothing_and_repeats_only_what_may_be(installation, server, safe):
    """Every answer takes a moment, so that the kill finds most of the calls under way."""
    installation.env["SWITCHBOARD_HTTP_PER_MINUTE"] = "0"
    events = 40
    publish(installation, server, events, safe_to_repeat=safe)
    answer = server.answer
    server.answer = lambda asked: time.sleep(0.5) or answer(asked)
    worker = installation.work()
    until(lambda: len(server.asked) >= 5, "nothing was asked")
    kill_everything(worker)
    installation.work()
    until(lambda: installation.query(OPEN) == [(0,)], "runs are still open")
    assert installation.query("SELECT count(*) FROM engine_run WHERE state = 'done'") == [(events,)]
    keys: dict[int, set[str]] = {}
    for asked in server.asked:
        keys.setdefault(asked.json["n"], set()).add(asked.headers["Idempotency-Key"])
    assert all(len(of_event) == 1 for of_event in keys.values())
    unknown = installation.query("SELECT count(*) FROM engine_call WHERE state = 'unknown'")[0][0]
    told = installation.query(
        "SELECT count(*) FROM engine_attempt WHERE note LIKE 'Outcome unknown%'"
    )[0][0]
    assert unknown >= 1
    if safe:
        assert (set(keys), told) == (set(range(events)), 0)
    else:
        assert max(Counter(asked.json["n"] for asked in server.asked).values()) == 1
        # Asked and answered, or listed as unknown: there is no third way.
        answered = installation.query("SELECT count(*) FROM engine_call WHERE state = 'answered'")
        assert told == unknown == events - answered[0][0]


@pytest.mark.parametrize("installation", ["PostgreSQL"], indirect=True)  # SQLite has one drain
def test_two_drains_let_exactly_ten_calls_through(installation, server):
    publish(installation, server, 200)
    installation.work()
    until(lambda: installation.query(OPEN) == [(0,)], "runs are still open")
    assert len(server.asked) == 10
    over = "SELECT count(*) FROM engine_attempt WHERE note LIKE 'Rate Limit Exceeded%'"
    assert installation.query(over) == [(190,)]
