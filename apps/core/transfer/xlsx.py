"""A process of its own that reads one Excel workbook, and nothing else: it may be a bomb.

The workbook is standard input. On standard output stand its rows, one JSON value in each line: a
row is a list of texts, a number stands for so many empty rows, and the last line is null, or an
object with the sentence that says why it can't be read. Whoever takes more memory or time than a
workbook needs is ended by the kernel, which leaves no last line. It loads no Django.
"""

import json
import resource
import signal
import sys
import tempfile
import zipfile
from array import array
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import IO, Any

from defusedxml.common import DefusedXmlException
from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

MB = 1024**2
# What it may take: memory, CPU seconds up to its first row, and in all.
MEMORY = 512 * MB
OPENING, READING = 2, 900
MAX_PARTS = 2_000
# Parts that openpyxl reads whole, before the first row.
WHOLE = ("xl/workbook.xml", "xl/styles.xml", "[Content_Types].xml", "xl/_rels/workbook.xml.rels")
LARGEST_WHOLE = 16 * MB

DAMAGED = (
    "The workbook is damaged or not a real one: open it in Excel and save it again, or save it "
    "as CSV."
)
ENTITIES = (
    "The workbook declares XML entities, which no real one does: open it in Excel and save it "
    "again, or save it as CSV."
)


class Refused(Exception):
    """The message is a sentence for whoever has uploaded it."""


def main(limit: int, columns: int) -> None:
    """`limit`: bytes of it when unpacked; `columns`: how many a row may have."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (OPENING, READING))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever had enough is no error
    out = sys.stdout
    last: Any = None
    try:
        for line in _lines(rows(open(0, "rb"), limit, columns)):  # noqa: SIM115
            out.write(line)
    except Refused as refused:
        last = {"refused": str(refused)}
    except MemoryError:
        sys.exit(1)  # as if the kernel had ended it
    except Exception as error:
        # A library that parses what strangers made may raise anything.
        last = {"refused": ENTITIES if _declares_entities(error) else DAMAGED}
    out.write(json.dumps(last) + "\n")
    out.flush()


def _declares_entities(error: BaseException | None) -> bool:
    """openpyxl parses with defusedxml, which is installed with us, and wraps what that raises."""
    while error is not None and not isinstance(error, DefusedXmlException):
        error = error.__cause__ or error.__context__
    return error is not None


def _lines(found: Iterator[list[str]]) -> Iterator[str]:
    empty, first = 0, True
    for cells in found:
        if first:
            first = False
            resource.setrlimit(resource.RLIMIT_CPU, (READING, READING))
        if not cells:
            empty += 1  # many programs save a million of these behind the last row
            continue
        if empty:
            yield f"{empty}\n"
            empty = 0
        yield json.dumps(cells) + "\n"


def rows(file: IO[bytes], limit: int, columns: int) -> Iterator[list[str]]:
    """The rows of the first sheet as texts: values and not formulas."""
    _check(file, limit)
    reader = _Reader(file, read_only=True, data_only=True, keep_links=False)
    reader.read()
    sheets = reader.wb.worksheets
    if not sheets:
        raise Refused("The workbook has no sheet.")
    sheets[0].reset_dimensions()  # what a file says of its own size may be wrong
    for cells in sheets[0].iter_rows(values_only=True):
        yield _texts(cells, columns)


def _check(file: IO[bytes], limit: int) -> None:
    """Refuse what unpacks to far more than a workbook needs."""
    try:
        parts = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, OSError):
        raise Refused("The file is no workbook: save it as .xlsx or CSV.") from None
    sizes = {part.filename: part.file_size for part in parts}
    whole = any(sizes.get(name, 0) > LARGEST_WHOLE for name in WHOLE)
    if whole or len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > limit:
        raise Refused(
            f"The workbook is larger than {limit // MB:,} MB when unpacked: save it as CSV, "
            "or split it."
        )
    if "xl/workbook.xml" not in sizes:
        raise Refused("The file is no Excel workbook: save it as .xlsx or CSV.")


def _texts(cells: Sequence[Any], columns: int) -> list[str]:
    """Up to the last cell with something in it."""
    width = len(cells)
    while width and cells[width - 1] in (None, ""):
        width -= 1
    if width > columns:
        raise Refused(f"The file has more than {columns} columns: take out what isn't used.")
    return [as_text(value) for value in cells[:width]]


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
            self.shared_strings = _TextsOnDisk(self.archive.open(part.PartName[1:]))


class _TextsOnDisk:
    """The texts that cells refer to by number, read up to the furthest that was asked for and kept
    in a file; eight bytes of memory for each."""

    def __init__(self, source: IO[bytes]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is gone with this process
        self._ends = array("Q", [0])
        self._more = _texts_of(source)

    def __getitem__(self, number: int) -> str:
        if number < 0:
            raise IndexError(number)
        while number >= len(self._ends) - 1:
            text = next(self._more, None)
            if text is None:
                raise IndexError(number)
            self._file.seek(self._ends[-1])
            self._ends.append(self._ends[-1] + self._file.write(text.encode(errors="replace")))
        start, end = self._ends[number], self._ends[number + 1]
        self._file.seek(start)
        return self._file.read(end - start).decode()


def _texts_of(source: IO[bytes]) -> Iterator[str]:
    events = iterparse(source, events=("start", "end"))
    _, root = next(events)
    for event, node in events:
        if event == "end" and node.tag == f"{{{SHEET_MAIN_NS}}}si":
            yield str(Text.from_tree(node).content).replace("x005F_", "")
            root.clear()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
