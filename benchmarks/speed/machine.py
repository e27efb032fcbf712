"""Facts of the machine, and the CPU time and memory of processes, read from /proc."""

import os
import platform
from pathlib import Path

import psycopg

from tests.chaos.scenario import descendants

_TICK = os.sysconf("SC_CLK_TCK")


def shape(database: str) -> str:
    """The machine and the server in one line."""
    cpu = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    with psycopg.connect(database) as connection:
        settings = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[call-overload, index]
            for name in (
                "server_version",
                "synchronous_commit",
                "fsync",
                "autovacuum",
                "shared_buffers",
            )
        }
    return (
        f"{os.cpu_count()} cores ({cpu}), Python {platform.python_version()}, PostgreSQL "
        f"{settings['server_version'].split()[0]} with synchronous_commit="
        f"{settings['synchronous_commit']}, fsync={settings['fsync']}, autovacuum="
        f"{settings['autovacuum']}, shared_buffers={settings['shared_buffers']}; generator, server "
        "and database share the cores"
    )


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and all below it have used so far; those that ended count for
    their parent."""
    total = 0
    for member in descendants(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def postgres_cpu_seconds(database: str) -> float:
    """CPU time of the PostgreSQL server that has `database`, those backends that ended included;
    0 when it runs elsewhere."""
    with psycopg.connect(database) as connection:
        try:
            stat = Path(f"/proc/{connection.info.backend_pid}/stat").read_text()
        except OSError:
            return 0.0
        return _with_ended(int(stat.rpartition(")")[2].split()[1]))


def _with_ended(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended = int(fields[13]) + int(fields[14])
    return cpu_seconds(pid) + ended / _TICK


def pss_megabytes(pid: int) -> float:
    """Memory of a process and all below it, shared pages counted once."""
    total = 0
    for member in descendants(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024
