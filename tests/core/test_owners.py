"""Who holds a lease, and of whom it can be said that he is dead."""

import os
import re
import subprocess
import sys

import pytest

from apps.core import due
from tests.owners import of_a_dead_process


def changed(**parts):
    """This process's own name with other parts."""
    names = ("host", "boot", "namespace", "pid", "start", "random")
    mine = dict(zip(names, due.owner().split("/"), strict=True))
    return "/".join({**mine, **parts}.values())


def gone_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return str(process.pid)


def test_a_name_tells_host_boot_namespace_process_and_start():
    host, boot, namespace, pid, start, random = due.owner().split("/")
    assert host and len(boot) == 8 and namespace.isdigit()
    assert (pid, start) == (str(os.getpid()), due._process_start(os.getpid()))
    assert re.fullmatch("[0-9a-f]{12}", random)
    assert due.owner() == due.owner()


def test_a_child_has_a_name_of_its_own():
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, due.owner().encode())
        os._exit(0)
    os.wait()
    child = os.read(read, 1000).decode()
    assert child != due.owner()
    assert child.split("/")[3] != str(os.getpid())
    assert child.split("/")[5] != due.owner().split("/")[5]


def test_of_the_dead_only_those_of_this_boot_and_namespace_are_known():
    pid = gone_pid()
    dead = changed(pid=pid)
    others = [
        due.owner(),
        changed(pid=pid, boot="00000000"),
        changed(pid=pid, namespace="1"),
        changed(pid="none"),
        f"{dead}/more",
        dead.rpartition("/")[0],
    ]
    assert due.dead_owners([dead, *others]) == [dead]
    # Whatever the host is called.
    assert due.dead_owners([changed(pid=pid, host="elsewhere")])


def test_another_process_with_the_same_id_is_not_the_one():
    assert due.dead_owners([of_a_dead_process()]) == [of_a_dead_process()]


def test_somebody_elses_process_lives_unless_it_is_another(monkeypatch):
    def refuse(pid, signum):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert due.dead_owners([due.owner()]) == []
    assert due.dead_owners([changed(start="1")])
    # Where /proc is hidden, nothing can be said.
    monkeypatch.setattr(due, "_process_start", lambda pid: "")
    assert due.dead_owners([changed(start="1")]) == []


@pytest.mark.parametrize("unknown", ["_boot", "_pid_namespace"])
def test_where_the_system_tells_nothing_nobody_is_dead(monkeypatch, unknown):
    dead = changed(pid=gone_pid())
    monkeypatch.setattr(due, unknown, lambda: "")
    assert due.dead_owners([dead]) == []


def test_a_zombie_does_no_more_work():
    process = subprocess.Popen([sys.executable, "-c", ""])
    while due._process_start(process.pid):
        pass
    process.wait()
    assert due._process_start(process.pid) == ""
