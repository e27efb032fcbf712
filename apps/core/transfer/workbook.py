"""Excel workbooks (.xlsx), read a row at a time: the first sheet, values and not formulas."""

import tempfile
import zipfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time
from typing import IO, Any

from django.conf import settings
from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from apps.core import heart
from apps.core.transfer.text import Unreadable

# How much larger than the largest upload a workbook may be when it is unpacked.
UNPACKED = 4
MAX_PARTS = 2_000
MAX_COLUMNS = 300


def rows(file: IO[bytes]) -> Iterator[list[str]]:
    """The rows of the first sheet as texts. Raises Unreadable, also while it is read."""
    _check(file)
    try:
        reader = _Reader(file, read_only=True, data_only=True, keep_links=False)
        reader.read()
        sheets = reader.wb.worksheets
        if not sheets:
            raise Unreadable("The workbook has no sheet.")
        sheets[0].reset_dimensions()  # what a file says of its own size may be wrong
        for cells in sheets[0].iter_rows(values_only=True):
            yield _texts(cells)
    except Unreadable:
        raise
    except Exception as error:
        # A library that parses what strangers made may raise anything.
        raise Unreadable(
            "The workbook is damaged or not a real one: open it in Excel and save it again, or "
            "save it as CSV."
        ) from error


def _texts(cells: Sequence[Any]) -> list[str]:
    """Up to the last cell with something in it."""
    width = len(cells)
    while width and cells[width - 1] in (None, ""):
        width -= 1
    if width > MAX_COLUMNS:
        raise Unreadable(f"The file has more than {MAX_COLUMNS} columns: take out what isn't used.")
    return [as_text(value) for value in cells[:width]]


def _check(file: IO[bytes]) -> None:
    """Refuse what unpacks to far more than it is."""
    limit = UNPACKED * settings.MAX_UPLOAD_BYTES
    try:
        parts = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, OSError):
        raise Unreadable("The file is no workbook: save it as .xlsx or CSV.") from None
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > limit:
        raise Unreadable(
            f"The workbook is larger than {limit // 1024**2:,} MB when unpacked: save it as CSV, "
            "or split it."
        )
    if "xl/workbook.xml" not in {part.filename for part in parts}:
        raise Unreadable("The file is no Excel workbook: save it as .xlsx or CSV.")


def as_text(value: Any) -> str:
    """A cell as somebody would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).replace("\0", "")


class _Reader(ExcelReader):  # type: ignore[misc]
    """openpyxl's, which would hold all texts of a workbook in memory."""

    def read_strings(self) -> None:
        part = self.package.find(SHARED_STRINGS)
        if part is not None:
            with self.archive.open(part.PartName[1:]) as source:
                self.shared_strings = _TextsOnDisk(source)


class _TextsOnDisk:
    """The texts that cells refer to by number, in a file; eight bytes of memory for each."""

    def __init__(self, source: IO[bytes]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is gone with this object
        self._ends = array("Q", [0])
        for text in _texts_of(source):
            self._ends.append(self._ends[-1] + self._file.write(text.encode(errors="replace")))

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self._ends) - 1:
            raise IndexError(number)
        start, end = self._ends[number], self._ends[number + 1]
        self._file.seek(start)
        return self._file.read(end - start).decode()

    def __del__(self) -> None:
        self._file.close()


def _texts_of(source: IO[bytes]) -> Iterator[str]:
    events = iterparse(source, events=("start", "end"))
    _, root = next(events)
    for event, node in events:
        if event == "end" and node.tag == f"{{{SHEET_MAIN_NS}}}si":
            heart.beat()
            yield str(Text.from_tree(node).content).replace("x005F_", "")
            root.clear()


class OpenWorkbook:
    """A workbook that is being read, and how many rows of it were."""

    def __init__(self, portions: Iterable[bytes]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is gone with this object
        for portion in portions:
            self._file.write(portion)
        self._file.seek(0)
        self._rows = rows(self._file)
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
        self._file.close()


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
