"""Processes of the installation that are started again whenever they are gone."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.chaos.scenario import descendants
from tests.installation import ROOT


class Kept:
    """One command and all that it starts; `keep` starts it again until it is put `away`."""

    def __init__(
        self, command: list[str], environment: dict[str, str], log: Path, descriptor: int = -1
    ) -> None:
        self.command, self.environment, self.log = command, environment, log
        self.passed = [descriptor] if descriptor >= 0 else []
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._away = False

    def keep(self) -> None:
        with self._lock:
            if self._away or (self._process is not None and self._process.poll() is None):
                return
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, *self.command],
                    cwd=ROOT,
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    pass_fds=self.passed,
                    process_group=0,
                )
            self.starts += 1

    def tree(self) -> list[int]:
        """Their ids, the topmost first; none when it is gone."""
        process = self._process
        if process is None or process.poll() is not None:
            return []
        return descendants(process.pid)

    def terminate(self, seconds: float) -> None:
        """Ask it to end and wait; who does not is killed."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def put_away(self, seconds: float = 40) -> None:
        with self._lock:
            self._away = True
        self.terminate(seconds)

    def kill(self) -> None:
        for pid in self.tree():
            try:
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self._process is not None:
            self._process.wait()
