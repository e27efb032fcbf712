"""What DATABASE_URL may say."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.once

READ = "import json; from config import settings; print(json.dumps(settings.DATABASES['default']))"


def read(address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", READ],
        env={**os.environ, "DATABASE_URL": address},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("query", "option"),
    [
        ("sslmode=require", {"sslmode": "require"}),
        ("server_side_binding=false", {"server_side_binding": False}),
        ("connect_timeout=2", {"connect_timeout": 2}),
        ("prepare_threshold=50&sslmode=verify-full", {"prepare_threshold": 50}),
    ],
)
def test_what_the_address_asks_for_is_heeded(query, option):
    options = json.loads(read(f"postgresql://someone@db.lan/name?{query}").stdout)["OPTIONS"]
    # A worker that waits longer than a minute for a dead network would be taken to hang.
    noticed = {"connect_timeout": 5, "keepalives_idle": 10, "tcp_user_timeout": 20_000}
    ours = {"server_side_binding": True, "prepare_threshold": 5, **noticed}
    assert option.items() <= options.items()
    assert (ours | options) == options


def test_another_database_stops_the_start_with_a_sentence():
    run = read("mysql://someone:password@db.lan/name")
    last = run.stderr.strip().splitlines()[-1]
    assert run.returncode
    assert "DATABASE_URL must be a postgresql:// or a sqlite:/// address." in last
    assert "password" not in last
