"""CSV: finding out how a file is written, and its records from any byte on.

A file is kept as UTF-8 without a byte order mark, with \\n at the end of lines, however it came.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice

from apps.core.transfer.neutral import neutral

# Names of encodings as people know them, by what Python calls them.
ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
# Excel reads CSV as UTF-8 by this mark only.
MARK = "\ufeff"
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# Longer lines are no rows of a table.
MAX_LINE = 1024 * 1024
# Rows by which the delimiter is found.
_LOOKED_AT = 20
# Rows that are written in one go.
_AT_ONCE = 500
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Unreadable(ValueError):
    """The file can't be read; the message is a sentence that says why."""


def encoding_of(portions: Iterable[bytes]) -> str:
    """How the bytes are written: by their mark, else UTF-8 if all of them can be, else
    Windows-1252, as Excel saves CSV."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    first = True
    for portion in portions:
        if first and (portion.startswith(_BOMS) or _looks_like_utf16(portion)):
            return "utf-16"
        first = False
        try:
            decoder.decode(portion)
        except UnicodeDecodeError:
            return "cp1252"
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _looks_like_utf16(portion: bytes) -> bool:
    """Every other byte of Western text in UTF-16 is 0."""
    return _nul_share(portion[1:4096:2]) > 0.5 or _nul_share(portion[0:4096:2]) > 0.5


def _nul_share(some: bytes) -> float:
    return some.count(0) / len(some) if len(some) > 8 else 0.0


def as_utf8(portions: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The same text in the form in which it is kept. What can't be read becomes U+FFFD."""
    decoder: io.IncrementalNewlineDecoder | None = None
    for portion in portions:
        if decoder is None:
            decoder = io.IncrementalNewlineDecoder(_decoder(portion, encoding), translate=True)
        yield _encoded(decoder.decode(portion))
    if decoder is not None:
        yield _encoded(decoder.decode(b"", final=True))


def _decoder(first: bytes, encoding: str) -> codecs.IncrementalDecoder:
    name = encoding
    if encoding == "utf-16" and not first.startswith(_BOMS):
        name = "utf-16-be" if _nul_share(first[0:4096:2]) > 0.5 else "utf-16-le"
    elif encoding == "utf-8":
        name = "utf-8-sig"
    return codecs.getincrementaldecoder(name)(errors="replace")


def _encoded(text: str) -> bytes:
    return text.replace("\0", "").encode("utf-8", errors="replace")


def delimiter_of(text: str) -> str:
    """The one that splits the first rows into most columns, all alike."""
    return max(DELIMITERS, key=lambda delimiter: _score(text, delimiter))


def _score(text: str, delimiter: str) -> tuple[int, int]:
    """How many rows are as wide as the first one, and how wide that is."""
    try:
        read = csv.reader(io.StringIO(text), delimiter=delimiter)
        widths = [len(cells) for cells in islice(read, _LOOKED_AT) if cells]
    except csv.Error:
        return 0, 0
    if not widths or widths[0] < 2:
        return 0, 0
    return sum(width == widths[0] for width in widths), widths[0]


def named_delimiter(text: str) -> str:
    """The one that Excel's own first line `sep=;` names; empty without such a line."""
    line = text.partition("\n")[0].strip().strip('"')
    name = line.removeprefix("sep=")
    return name if line != name and name in DELIMITERS else ""


def records(
    portions: Iterable[bytes], delimiter: str, read: int = 0
) -> Iterator[tuple[list[str], int]]:
    """Each row's cells, blank rows as no cells, with the bytes read so far. `read` says how many
    rows came before. Raises Unreadable."""
    lines = _Lines(portions)
    reader = csv.reader(lines, delimiter=delimiter)
    for number in count(read + 1):
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise Unreadable(
                f"Row {number:,} can't be read: a quote is opened and never closed, or a cell is "
                f"longer than {csv.field_size_limit():,} characters."
            ) from None
        except _TooLong:
            raise Unreadable(
                f"Row {number:,} is longer than {MAX_LINE:,} characters: this is no table of rows."
            ) from None
        yield cells, lines.consumed


class _TooLong(Exception):
    pass


class _Lines:
    """The lines, and how many bytes have been taken so far: csv takes no more than a row needs."""

    def __init__(self, portions: Iterable[bytes]) -> None:
        self.consumed = 0
        self._lines = self._split(portions)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.consumed += len(line)
        return line.decode("utf-8", errors="replace")

    @staticmethod
    def _split(portions: Iterable[bytes]) -> Iterator[bytes]:
        rest = b""
        for portion in portions:
            *whole, rest = (rest + portion).split(b"\n")
            for line in whole:
                yield line + b"\n"
            if len(rest) > MAX_LINE:
                raise _TooLong
        if rest:
            yield rest


def line(cells: Iterable[str], delimiter: str = ",") -> str:
    """Cells as one row of a CSV file."""
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return written.getvalue()


def neutral_lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A whole CSV file, some rows at a time, in which no spreadsheet finds a formula."""
    yield MARK + line(map(neutral, header))
    rest = iter(rows)
    while some := list(islice(rest, _AT_ONCE)):
        yield "".join(line(neutral(_written(value)) for value in row) for row in some)


def _written(value: object) -> str:
    return "" if value is None else str(value)
