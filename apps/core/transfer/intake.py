"""The door for uploaded tables: what kind of file it is, how it is written, its first rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from django.conf import settings

from apps.core import phone
from apps.core.transfer import text, workbook
from apps.core.transfer.files import StoredFile, store
from apps.core.transfer.text import Unreadable
from apps.core.transfer.workbook import MAX_COLUMNS

HEAD = 64 * 1024
SAMPLE_ROWS = 6
CSV, XLSX = "csv", "xlsx"
_TEXT = b"\t\n\f\r" + bytes(range(32, 256))


@dataclass(frozen=True)
class Table:
    """An uploaded table as it is kept."""

    file: StoredFile
    form: str
    # Of a CSV file; a workbook has none.
    encoding: str
    delimiter: str
    # Its first rows.
    sample: list[list[str]]

    @property
    def has_header(self) -> bool:
        return names_columns(self.sample[0])


def names_columns(cells: list[str]) -> bool:
    """Whether a row seems to name the columns: no number and no address is a name."""
    return not any(phone.normalise(cell) or "@" in cell for cell in cells)


def receive(upload: Any, encoding: str = "") -> Table:
    """Check an uploaded file and keep it; `encoding` is one of text.ENCODINGS, found out when it
    is empty. Raises Unreadable."""
    if upload.size > settings.MAX_UPLOAD_BYTES:
        limit = settings.MAX_UPLOAD_BYTES // 1024**2
        raise Unreadable(f"The file is larger than {limit:,} MB: split it into several.")
    upload.seek(0)
    head = upload.read(HEAD)
    if not head.strip():
        raise Unreadable("The file is empty.")
    if head.startswith(b"PK\x03\x04"):
        return _workbook(upload)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable(
            "The file is an Excel workbook of the old kind (.xls), or one with a password: save it "
            "as .xlsx or CSV, without a password."
        )
    return _csv(upload, head, encoding)


def _workbook(upload: Any) -> Table:
    sample = list(islice(workbook.rows(_portions(upload)), SAMPLE_ROWS))
    _check(sample)
    return Table(store(upload.name, _portions(upload)), XLSX, "", ",", sample)


def _csv(upload: Any, head: bytes, encoding: str) -> Table:
    encoding = encoding or text.encoding_of(_portions(upload))
    start = b"".join(text.as_utf8([head], encoding)).decode()
    if encoding != "utf-16" and _share_of_control(head) > 0.08:
        raise Unreadable("The file is neither CSV nor an Excel workbook (.xlsx).")
    named = text.named_delimiter(start)
    kept = text.as_utf8(_portions(upload), encoding)
    if named:
        kept = _without_first_line(kept)
    # The last line may be cut off, and so may a quote: what delimiter_of sees need not be whole.
    delimiter = named or text.delimiter_of(start)
    file = store(upload.name, kept)
    try:
        sample = [cells for cells, _ in islice(text.records(file.read(), delimiter), SAMPLE_ROWS)]
        _check(sample)
    except Unreadable:
        file.delete()
        raise
    return Table(file, CSV, encoding, delimiter, sample)


def _share_of_control(head: bytes) -> float:
    """Bytes that stand in no text; every ninth where data is packed."""
    return len(head.translate(None, _TEXT)) / len(head)


def _portions(upload: Any) -> Iterator[bytes]:
    upload.seek(0)
    yield from iter(lambda: upload.read(HEAD), b"")


def _without_first_line(portions: Iterator[bytes]) -> Iterator[bytes]:
    first = next(portions, b"")
    return chain([first.partition(b"\n")[2]], portions)


def _check(sample: list[list[str]]) -> None:
    if not sample or not any(cell.strip() for cell in sample[0]):
        raise Unreadable("The first row of the file is empty: it should name the columns.")
    if len(sample[0]) > MAX_COLUMNS:
        raise Unreadable(f"The file has more than {MAX_COLUMNS} columns: take out what isn't used.")
    if names_columns(sample[0]) and not any(cell.strip() for row in sample[1:] for cell in row):
        raise Unreadable("The file has no rows under its first one.")
