"""The first promise: one command sets everything up and runs the main job, and stops cleanly."""

import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.scenario import ROOT, processes_with

# Always on the embedded database.
pytestmark = [pytest.mark.chaos, pytest.mark.once, pytest.mark.timeout(900)]

LIMIT = 300  # only guards against hanging


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def environment(tmp_path):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SWITCHBOARD", "DJANGO_S"))}
    url = f"http://127.0.0.1:{free_port()}"
    return {**kept, "SWITCHBOARD_DATA_DIR": str(tmp_path / "data"), "SWITCHBOARD_URL": url}


def manage(*arguments, environment):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env={**environment, "DATABASE_URL": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


class Demo:
    def __init__(self, environment):
        self.environment = {**environment, "DATABASE_URL": ""}
        self.data = Path(environment["SWITCHBOARD_DATA_DIR"])

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo"],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self.said = ""
        while "Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.stdout.close()

    def left_over(self):
        return processes_with("SWITCHBOARD_DATA_DIR", str(self.data))

    def rows(self, query):
        with closing(sqlite3.connect(self.data / "switchboard.sqlite3", timeout=20)) as database:
            return database.execute(query).fetchall()


def wait_for(condition):
    deadline = time.monotonic() + LIMIT
    while not (value := condition()):
        assert time.monotonic() < deadline, "It never happened"
        time.sleep(0.02)
    return value


def test_the_demo_runs_the_main_job_and_stops_without_orphans(environment):
    with Demo(environment) as demo:
        assert "Switchboard is ready" in demo.said
        (curl,) = re.findall(r"^ *(curl .*)$", demo.said, re.M)
        words = shlex.split(curl)
        body, address = words[words.index("-d") + 1], words[-1]
        request = urllib.request.Request(
            address, body.encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            assert (answer.status, json.load(answer)["status"]) == (202, "ok")
        ((text,),) = wait_for(lambda: demo.rows("SELECT text FROM sandbox_phonemessage"))
        assert text == "Hi Ana Lima, thank you for order 1001 over 89.5 EUR!"
        keys = demo.data / "keys.json"
        assert keys.stat().st_mode & 0o777 == 0o600
        os.killpg(demo.process.pid, signal.SIGINT)
        assert demo.process.wait(LIMIT) == 0
        wait_for(lambda: not demo.left_over())


def test_a_killed_demo_leaves_no_orphans_and_starts_again(environment):
    with Demo(environment) as demo:
        assert len(demo.left_over()) > 5
        demo.process.kill()
        wait_for(lambda: not demo.left_over())
    with Demo(environment) as again:
        login = re.search(r"Login +(\S+) / (\S+)", again.said)
        assert login.group(1) == "owner"
        assert again.rows("SELECT count(*) FROM connectors_connector") == [(1,)]


def test_a_taken_port_gets_one_clear_sentence(environment):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        done = manage("demo", environment={**environment, "SWITCHBOARD_URL": url})
    assert done.returncode == 1
    assert done.stderr.startswith(f"CommandError: Port {port} can't be used")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_database_without_its_keys_gets_one_clear_sentence(environment):
    assert manage("setup", environment=environment).returncode == 0
    keys = Path(environment["SWITCHBOARD_DATA_DIR"]) / "keys.json"
    kept = keys.read_text()
    keys.unlink()
    for command in ("setup", "demo"):
        done = manage(command, environment=environment)
        assert done.returncode == 1
        assert "but its keys are not: restore" in done.stderr
    done = manage("check", environment=environment)
    assert done.stderr.startswith("Switchboard can't start: there are no keys at")
    keys.write_text("{}")
    done = manage("setup", environment=environment)
    assert len(done.stderr.strip().splitlines()) == 1
    assert "can't be read: restore it from your backup" in done.stderr
    keys.write_text(json.dumps({**json.loads(kept), "secret_key": "another installation's"}))
    done = manage("setup", environment=environment)
    assert "This database was set up with other keys." in done.stderr
    keys.write_text(kept)
    assert manage("setup", environment=environment).returncode == 0
