"""A PostgreSQL cluster of one's own, that may be crashed, and whose disk may fill up."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import psycopg

# Only processes die here, and what they have written the kernel keeps: no need to wait for disks.
SETTINGS = {"fsync": "off", "max_connections": "100", "log_min_messages": "fatal"}
DATABASE = "world"
SMALL_DISK_MIB = 192
# Of a full disk so much is left: less than one page of a table.
CRUMB = 4096


def binaries() -> Path | None:
    """The newest PostgreSQL's programs; None where there are none."""
    known = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    versions = sorted(known, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))])
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def why_not() -> str:
    """A reason for which no cluster can be made here; empty when one can."""
    if binaries() is None:
        return "there are no PostgreSQL programs (initdb)"
    if os.getuid() == 0 and not shutil.which("runuser"):
        return "PostgreSQL refuses to run as root, and there is no runuser"
    return ""


class Cluster:
    """Initialised and running once entered; leaves nothing behind."""

    def __init__(self, small_disk: bool = False) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="switchboard-cluster-"))
        self.data = self.directory / "data"
        self.disk = self.directory / "disk"
        self.port = _free_port()
        self._wants_disk, self._mounted = small_disk, False
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/{DATABASE}"

    def __enter__(self) -> Self:
        self.directory.chmod(0o755)
        self.disk.mkdir()
        try:
            self._own(self.directory)
            self._run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync")
            lines = [f"{name} = {value}" for name, value in SETTINGS.items()]
            with (self.data / "postgresql.conf").open("a") as file:
                file.write("\n".join(lines) + "\n")
            self._mounted = self._wants_disk and self._mount()
            self.start()
            self._create()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.crash()
        if self._mounted:
            subprocess.run(["umount", self.disk], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- starting and crashing -------------------------------------------------------------------

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.directory}"
        log = self.directory / "log"
        self._run("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "-t", "60", "start")

    def crash(self) -> None:
        """As if the host had lost its processes: nothing is written out."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop", check=False)

    def wait(self, seconds: float = 60) -> None:
        """Until it takes connections, after a crash of its own."""
        until = time.monotonic() + seconds
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection past the proxy, for watching and for faults."""
        return psycopg.connect(self.url, autocommit=True, connect_timeout=5)

    def backends(self) -> list[int]:
        """Processes that serve the product, not ourselves."""
        with self.connect() as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'",
                [DATABASE],
            )
            return [int(str(pid)) for (pid,) in found.fetchall()]

    def kill_backend(self, pid: int) -> None:
        """kill -9: the postmaster then restarts them all."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    # --- its disk --------------------------------------------------------------------------------

    @property
    def can_fill(self) -> bool:
        return self._mounted

    def fill(self) -> int:
        """Leave no page of room for tables and indexes; returns the bytes that it took."""
        free = shutil.disk_usage(self.disk).free - CRUMB
        with (self.disk / "ballast").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free, CRUMB))
        return free

    def make_room(self) -> None:
        (self.disk / "ballast").unlink(missing_ok=True)

    def _mount(self) -> bool:
        """Needs root, and a container that allows it."""
        if os.getuid():
            return False
        size = f"size={SMALL_DISK_MIB}m"
        command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.disk)]
        return not subprocess.run(command, capture_output=True, check=False).returncode

    def _create(self) -> None:
        space = ""
        with psycopg.connect(self.url.replace(DATABASE, "postgres"), autocommit=True) as server:
            if self._mounted:
                (self.disk / "tables").mkdir()
                self._own(self.disk / "tables")
                server.execute(f"CREATE TABLESPACE small LOCATION '{self.disk}/tables'")  # type: ignore[call-overload]
                space = " TABLESPACE small"
            server.execute(f"CREATE DATABASE {DATABASE}{space}")  # type: ignore[call-overload]

    def _own(self, path: Path) -> None:
        if os.getuid() == 0:
            shutil.chown(path, "postgres")

    def _run(self, program: str, *arguments: object, check: bool = True) -> None:
        found = binaries()
        assert found is not None
        command = [str(found / program), *map(str, arguments)]
        if os.getuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # pg_ctl's postmaster would keep pipes open.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(command, stdout=said, stderr=said, cwd="/", check=False)
            if check and done.returncode:
                said.seek(0)
                raise RuntimeError(f"{program} failed: {said.read().decode(errors='replace')}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
