"""Excel workbooks (.xlsx), read a row at a time by a process of their own (xlsx.py)."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import IO

from django.conf import settings

from apps.core import heart
from apps.core.transfer.text import Unreadable

# How much larger than the largest upload a workbook may be when it is unpacked.
UNPACKED = 4
MAX_COLUMNS = 300
_ROOT = Path(__file__).parents[3]
_TOO_MUCH = (
    "The workbook takes too long or too much memory to read: save it as CSV, or copy what is in it "
    "into a new one."
)


def rows(portions: Iterable[bytes]) -> Generator[list[str], None, None]:
    """The rows of the first sheet as texts; `portions` are the workbook's bytes. Raises Unreadable,
    also while it is read."""
    with tempfile.TemporaryFile() as copy:  # the process wants a file that nobody else moves in
        copy.writelines(portions)
        copy.seek(0)
        reader = _reader(copy)
        try:
            yield from _rows_of(reader)
        finally:
            reader.kill()
            reader.communicate()


def _reader(source: IO[bytes]) -> subprocess.Popen[bytes]:
    limit = UNPACKED * settings.MAX_UPLOAD_BYTES
    # Nothing of ours that it could give away: no secrets, no database.
    env = {"PATH": os.defpath, "PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8"}
    return subprocess.Popen(
        [sys.executable, "-m", "apps.core.transfer.xlsx", str(limit), str(MAX_COLUMNS)],
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env=env,
    )


def _rows_of(reader: subprocess.Popen[bytes]) -> Iterator[list[str]]:
    assert reader.stdout is not None
    for line in reader.stdout:
        try:
            told = json.loads(line)
        except ValueError:  # ended in the midst of a line
            break
        match told:
            case list():
                yield told
            case int():
                yield from ([] for _ in range(told))
            case {"refused": sentence}:
                raise Unreadable(sentence)
            case _:
                return
    raise Unreadable(_TOO_MUCH)


class OpenWorkbook:
    """A workbook that is being read, and how many rows of it were."""

    def __init__(self, portions: Iterable[bytes]) -> None:
        self._rows = rows(portions)
        self.position = 0

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        cells = next(self._rows)
        self.position += 1
        heart.beat()
        return cells

    def skip_to(self, position: int) -> None:
        while self.position < position and next(self, None) is not None:
            pass

    def __del__(self) -> None:
        self._rows.close()


# The workbook that this process read last, by the key of its reader: its next rows are near.
_open: dict[int, OpenWorkbook] = {}


def opened(key: int, position: int, portions: Callable[[], Iterable[bytes]]) -> OpenWorkbook:
    """The workbook `key` at this row: the one that was kept open, if it is not past it already."""
    kept = _open.pop(key, None)
    if kept is None or kept.position > position:
        kept = OpenWorkbook(portions())
    kept.skip_to(position)
    return kept


def keep_open(key: int, book: OpenWorkbook) -> None:
    """For the next call of `opened`; not for one whose reading broke off."""
    _open.clear()
    _open[key] = book
