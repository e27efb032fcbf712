"""Workers in containers that share a host name and count their processes from 1."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.installation import ROOT, installed

pytestmark = [pytest.mark.chaos, pytest.mark.once]

OWNER = """
import sys, time, django
django.setup()
from apps.core.due import owner
print(owner(), flush=True)
time.sleep(60)
"""
DEAD = """
import sys, django
django.setup()
from apps.core.due import dead_owners
print(dead_owners(sys.argv[1:]), flush=True)
"""
UNSHARE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _may_unshare():
    return (
        shutil.which("unshare") is not None
        and subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    )


# Where it is required (.ci/run), a machine that can't do it fails.
@pytest.mark.skipif(
    not os.environ.get("REQUIRE_NAMESPACES") and not _may_unshare(),
    reason="needs the right to make pid namespaces",
)
def test_two_containers_with_one_host_name_and_pid_are_two(tmp_path):
    """Both name their process 1; neither takes the other for dead."""
    with installed(tmp_path) as installation:
        _neither_is_dead(installation)


def _neither_is_dead(installation):
    command = [*UNSHARE, sys.executable, "-c"]
    living = subprocess.Popen(
        [*command, OWNER], cwd=ROOT, env=installation.env, stdout=subprocess.PIPE, text=True
    )
    try:
        name = living.stdout.readline().strip()
        other = subprocess.run(
            [*command, DEAD, name], cwd=ROOT, env=installation.env, capture_output=True, text=True
        )
        assert (other.stdout, other.stderr) == ("[]\n", "")
    finally:
        living.kill()
        living.wait()
        living.stdout.close()
