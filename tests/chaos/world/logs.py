"""Logs in JSON lines, which a kept world is judged by again."""

import json
import threading
import time
from pathlib import Path
from typing import Any


class Log:
    """Many threads write; each line is a whole one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def write(self, **line: Any) -> None:
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        with self._lock:
            self._file.close()


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that a killed writer left half is passed over."""
    if not path.exists():
        return []
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines


def now() -> float:
    """Seconds, by the one clock that no fault steps."""
    return time.time()
