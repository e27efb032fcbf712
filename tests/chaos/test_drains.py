"""Real workers whose parts die, hang or lose their connections: each is put right by itself, and
the calls that others have under way end as if nothing had been. And all of them stop in time."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from json import dumps

import psycopg
import pytest

from tests.chaos.scenario import descendants
from tests.installation import ROOT, installed
from tests.run import find_postgresql
from tests.servers import serving

pytestmark = [pytest.mark.chaos, pytest.mark.once, pytest.mark.timeout(600)]

LIMIT = 200  # only guards against hanging
STOPS_WITHIN = 10
OPEN = "SELECT count(*) FROM engine_run WHERE state IN ('due', 'leased', 'waiting')"
CALLS = "SELECT state, count(*) FROM engine_call GROUP BY state ORDER BY state"


@pytest.fixture(scope="module")
def server():
    with serving() as made:
        plain = made.answer
        made.answer = lambda asked: _slowly(made, asked) or plain(asked)
        yield made


def _slowly(server, asked):
    """/3-name takes three seconds; /30-name-once takes thirty when asked first, then none."""
    seconds, *rest = asked.path[1:].split("-")
    before = sum(other.path == asked.path for other in server.asked) - 1
    if not (rest[-1] == "once" and before):
        time.sleep(float(seconds))


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def installation(request, tmp_path_factory, server):
    """One that serves, with two connectors that call /<event.path>: `safe` may repeat a call whose
    answer was lost."""
    database = find_postgresql() if request.param == "PostgreSQL" else ""
    if request.param == "PostgreSQL" and not database:
        pytest.skip("no PostgreSQL answers")
    with installed(tmp_path_factory.mktemp("drains"), database) as made:
        made.env["SWITCHBOARD_HTTP_ALLOW"] = server.url.removeprefix("http://")
        made.env["SWITCHBOARD_HTTP_PER_MINUTE"] = "0"
        made.tokens = made.python(
            f"""
from apps.actions.kinds.http_api import HttpApi
from tests.factories import published
call = {{"url": "{server.url}/{{{{ event.path }}}}", "body_type": "raw", "body": "x"}}
safe = published([(HttpApi, {{**call, "safe_to_repeat": True}})], name="safe")
once = published([(HttpApi, call)], name="once")
print(json.dumps({{"safe": safe.token, "once": once.token}}))
"""
        )
        made.serve()
        yield made


@pytest.fixture
def postgresql(installation):
    if not installation.env["DATABASE_URL"]:
        pytest.skip("SQLite has one drain, and no connection that could be cut")
    return installation


@pytest.fixture(autouse=True)
def _emptied(installation, server):
    for table in ("engine_attempt", "engine_call", "engine_run", "engine_event"):
        execute(installation, f"DELETE FROM {table}")
    server.asked.clear()


def execute(installation, sql):
    url = installation.env["DATABASE_URL"]
    if url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql)
        return
    import sqlite3

    with sqlite3.connect(installation.home / "switchboard.sqlite3", timeout=20) as connection:
        connection.execute(sql)
    connection.close()


# So many looks one after the other show the same processes.
SAME = 10


class Workers:
    """`manage.py work` while it runs."""

    def __init__(self, process):
        self.process = process

    @property
    def parts(self):
        """(drains, the main process of the cluster) by their ids; the cluster alone has children,
        which show when it is up."""
        below = [pid for pid in descendants(self.process.pid)[1:] if _parent(pid) == self.pid]
        clusters = [pid for pid in below if len(descendants(pid)) > 5]
        return sorted(set(below) - set(clusters)), clusters

    @property
    def pid(self):
        return self.process.pid

    @property
    def drains(self):
        return self.parts[0]

    @property
    def cluster(self):
        return self.parts[1]

    def are_up(self, drains):
        """They have been for a moment: no helper is on its way, none is about to die."""
        seen = []

        def steady():
            seen.append(self.parts)
            is_whole = [len(part) for part in seen[-1]] == [drains, 1]
            return is_whole and len(seen) > SAME and all(p == seen[-1] for p in seen[-SAME:])

        until(steady, "not all are up")
        return seen[-1]


def _parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@contextmanager
def working(installation, *command):
    process = installation.work(*command)
    workers = Workers(process)
    try:
        yield workers
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)
        installation.processes.remove(process)


def drains_of(installation):
    return 2 if installation.env["DATABASE_URL"] else 1


def until(true, what, limit=LIMIT):
    end = time.monotonic() + limit
    while not (value := true()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return value


def post(installation, connector, path):
    request = urllib.request.Request(
        f"{installation.url}/hooks/{installation.tokens[connector]}",
        dumps({"path": path}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:
        assert answer.status == 202


def asked(server, path):
    return [one for one in server.asked if one.path == f"/{path}"]


def holder(installation):
    """The process that waits for the only call under way."""
    query = "SELECT lease_owner FROM engine_run WHERE state = 'leased'"
    (name,) = until(lambda: installation.query(query), "nobody holds the run")[0]
    return int(name.split("/")[3])


def all_done(installation):
    until(lambda: installation.query(OPEN) == [(0,)], "runs are still open")


# --- one part of them -----------------------------------------------------------------------------


def test_a_drain_that_is_killed_is_replaced_alone(installation, server):
    """What it held is free at once, and the call of another drain ends answered."""
    with working(installation) as workers:
        drains, cluster = workers.are_up(drains_of(installation))
        post(installation, "safe", "30-killed-once")
        until(lambda: asked(server, "30-killed-once"), "no call was made")
        victim = holder(installation)
        assert victim in drains
        os.kill(victim, signal.SIGKILL)
        killed_at = time.monotonic()
        # Not when the lease is over, a minute and a half later.
        all_done(installation)
        assert time.monotonic() - killed_at < 20
        assert len(asked(server, "30-killed-once")) == 2
        replaced, same_cluster = workers.are_up(len(drains))
        assert (set(drains) - set(replaced), same_cluster) == ({victim}, cluster)


def test_calls_of_other_drains_go_on(postgresql, server):
    with working(postgresql) as workers:
        drains, _ = workers.are_up(2)
        post(postgresql, "once", "4-goes-on")
        until(lambda: asked(server, "4-goes-on"), "no call was made")
        busy = holder(postgresql)
        (other,) = set(drains) - {busy}
        os.kill(other, signal.SIGKILL)
        all_done(postgresql)
        assert busy in workers.are_up(2)[0]
        assert postgresql.query(CALLS) == [("answered", 1)]


def test_a_drain_that_hangs_is_replaced(installation, server, tmp_path):
    installation.env["SWITCHBOARD_TEST_HANGS"] = "6"
    with working(
        installation, "-m", "tests.chaos.worker", "cluster", "nowhere", str(tmp_path)
    ) as workers:
        drains, cluster = workers.are_up(drains_of(installation))
        hanging = drains[0]
        os.kill(hanging, signal.SIGSTOP)
        until(lambda: hanging not in descendants(workers.pid), "it was left to hang")
        replaced, same_cluster = workers.are_up(len(drains))
        assert (set(drains) - set(replaced), same_cluster) == ({hanging}, cluster)
        # Those who only wait, or wait for a call, give signs of life.
        post(installation, "once", "7-waits-long")
        all_done(installation)
        assert installation.query(CALLS) == [("answered", 1)]
        assert workers.are_up(len(drains))[0] == replaced


def test_of_an_ordinary_worker_that_dies_drains_know_nothing(installation, server):
    with working(installation) as workers:
        drains, cluster = workers.are_up(drains_of(installation))
        post(installation, "once", "4-undisturbed")
        until(lambda: asked(server, "4-undisturbed"), "no call was made")
        os.kill(descendants(cluster[0])[-1], signal.SIGKILL)
        until(lambda: workers.cluster not in ([], cluster), "there is no other cluster")
        all_done(installation)
        assert installation.query(CALLS) == [("answered", 1)]
        assert workers.are_up(len(drains))[0] == drains


def test_a_connection_that_is_cut_loses_no_call(postgresql, server):
    with working(postgresql) as workers:
        up = workers.are_up(2)
        for number in range(20):
            post(postgresql, "once", f"3-cut-{number}")
        until(lambda: len(server.asked) == 20, "not all calls were made")
        for _ in range(3):
            execute(
                postgresql,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            time.sleep(0.7)
        all_done(postgresql)
        assert postgresql.query(CALLS) == [("answered", 20)]
        assert len(server.asked) == 20
        # The broker was cut off, too.
        assert workers.are_up(2) == up


def test_all_die_with_their_supervisor(installation):
    with working(installation) as workers:
        workers.are_up(drains_of(installation))
        below = descendants(workers.pid)
        os.kill(workers.pid, signal.SIGKILL)
        workers.process.wait()
        until(lambda: not any(map(_lives, below)), "somebody was left behind", 5)


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# --- stopping -------------------------------------------------------------------------------------


def stops(process, signum=signal.SIGTERM):
    """Seconds until it and all that it started are gone."""
    below = descendants(process.pid)
    begun = time.monotonic()
    process.send_signal(signum)
    process.wait(30)
    until(lambda: not any(map(_lives, below)), "somebody was left behind", 5)
    took = time.monotonic() - begun
    assert took < STOPS_WITHIN
    return took


def test_it_stops_at_any_moment_of_its_start(installation):
    chance = random.Random(20261129)
    for _ in range(4):
        with working(installation) as workers:
            time.sleep(chance.uniform(0, 4))
            stops(workers.process)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_with_calls_under_way_and_lets_go_of_them(installation, server, signum):
    with working(installation) as workers:
        workers.are_up(drains_of(installation))
        post(installation, "safe", "30-stopped-once")
        post(installation, "once", "3-ends-in-time")
        until(lambda: len(server.asked) == 2, "not all calls were made")
        stops(workers.process, signum)
    states = "SELECT state, lease_until IS NULL FROM engine_run ORDER BY id"
    assert installation.query(states) == [("due", True), ("done", True)]
    with working(installation):
        all_done(installation)
    assert len(asked(server, "30-stopped-once")) == 2
    assert installation.query(CALLS) == [("answered", 2), ("unknown", 1)]


def test_it_stops_while_everybody_waits_for_a_lock(postgresql, server):
    with working(postgresql) as workers:
        workers.are_up(2)
        with psycopg.connect(postgresql.env["DATABASE_URL"]) as other:
            other.execute("LOCK TABLE engine_attempt, engine_call")
            post(postgresql, "once", "0-locked")
            time.sleep(1)
            stops(workers.process)


def test_web_and_workers_stop_together(installation, server):
    chance = random.Random(20261130)
    for seconds in (chance.uniform(0, 3), 8):
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        environment = {**installation.env, "SWITCHBOARD_URL": url}
        with installation.log.open("ab") as log:
            up = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, stderr=log
            )
        time.sleep(seconds)
        if seconds == 8:
            post(installation, "once", f"30-up-{up.pid}")
            until(lambda: server.asked, "no call was made")
        stops(up)
