"""Writing rows of the database into a file, as a long job."""

from collections.abc import Iterator
from typing import Any

from django.db import models

from apps.core.jobs import Job, JobFailed
from apps.core.transfer import intake, sheet, text
from apps.core.transfer.files import StoredFile
from apps.core.transfer.neutral import neutral

# Rows of a slice.
SLICE = 1_000
_MARK = text.MARK.encode()
CONTENT_TYPES = {intake.CSV: "text/csv; charset=utf-8", intake.XLSX: sheet.CONTENT_TYPE}


class ExportJob(Job):
    """A table on its way out, in the order of the ids. A subclass says what is in it: `headers`
    and `lines`."""

    class Form(models.TextChoices):
        CSV = intake.CSV, "CSV"
        XLSX = intake.XLSX, "Excel (.xlsx)"

    file = models.ForeignKey(
        StoredFile, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    form = models.CharField("format", max_length=10, choices=Form, default=Form.CSV)
    # The cursor: the last row that is written.
    last_id = models.BigIntegerField(default=0, editable=False)

    class Meta(Job.Meta):
        abstract = True

    def headers(self) -> list[str]:
        raise NotImplementedError

    def lines(self, after: int, limit: int) -> list[tuple[int, list[str]]]:
        """Id and cells of the next rows with an id above `after`."""
        raise NotImplementedError

    def slice(self) -> bool:
        head = []
        if self.last_id == 0:
            if self.file is not None:
                self.file.delete()
            self.file = StoredFile.objects.create(name=self.file_name())
            head = [self.headers()]
        if self.file is None:
            raise JobFailed("What was written so far is no longer kept: export once more.")
        found = self.lines(self.last_id, SLICE)
        self.done += len(found)
        if self.form == self.Form.XLSX and self.done >= sheet.MOST_ROWS:
            raise JobFailed(f"A sheet has {sheet.MOST_ROWS:,} rows at most: export as CSV.")
        self.file.append(self._written(head + [cells for _, cells in found], bool(head)))
        self.last_id = found[-1][0] if found else max(self.last_id, 1)
        return len(found) < SLICE

    def _written(self, lines: list[list[str]], first: bool) -> bytes:
        write: Any = sheet.row if self.form == self.Form.XLSX else text.line
        mark = _MARK if first and self.form == self.Form.CSV else b""
        neutralised = ("".join(write(map(neutral, cells)) for cells in lines)).encode(
            "utf-8", errors="replace"
        )
        return mark + neutralised

    def file_name(self) -> str:
        return f"export-{self.created_at:%Y-%m-%d}.{self.form}"

    def content(self) -> Iterator[bytes]:
        """The finished file, a portion at a time."""
        portions = self.file.read() if self.file else iter(())
        return sheet.workbook(portions) if self.form == self.Form.XLSX else portions


def refused_rows(file: StoredFile, headers: list[str]) -> Iterator[bytes]:
    """The error file of an import: what was refused, row by row, with number and reason."""
    yield _MARK + text.line(map(neutral, ["Row", "Problem", *headers])).encode()
    last = 0
    while found := list(file.refused.filter(pk__gt=last).order_by("pk")[:SLICE]):
        last = found[-1].pk
        yield "".join(
            text.line(map(neutral, [str(row.number), row.sentence, *row.cells])) for row in found
        ).encode("utf-8", errors="replace")
