"""Importing an uploaded table, as a long job: first a dry run over all of its rows, then, when
somebody says so, the import itself."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Self

from django.db import models

from apps.core import clock, rows
from apps.core.fields import JsonText
from apps.core.jobs import Job, JobFailed
from apps.core.transfer import intake, text, workbook
from apps.core.transfer.files import RefusedRow, SeenKey, StoredFile
from apps.core.transfer.neutral import restore
from apps.core.transfer.text import Unreadable

# Rows of a slice.
SLICE = 1_000


class Refused(ValueError):
    """This row is not imported; the message is a sentence that says why."""


@dataclass(frozen=True)
class Row:
    """A row with something in it; as many cells as the file has columns."""

    number: int
    cells: list[str]


@dataclass
class Tally:
    """What became of the rows of a slice."""

    created: int = 0
    updated: int = 0
    skipped: int = 0
    refused: list[tuple[Row, str]] = field(default_factory=list)


class ImportJob(Job):
    """A table on its way in. A subclass is what it becomes: it implements `take`."""

    class Phase(models.TextChoices):
        # A workbook becomes CSV first: only that can be read from any row on.
        UNPACK = "unpack", "Reading the workbook"
        CHECK = "check", "Dry run"
        WRITE = "write", "Import"

    class Policy(models.TextChoices):
        UPDATE = "update", "Add new ones, update those that are there"
        SKIP = "skip", "Add new ones, leave those that are there"
        ONLY_UPDATE = "only_update", "Update those that are there, add nobody"

    file = models.ForeignKey(
        StoredFile, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    # What a workbook has become so far.
    unpacked = models.ForeignKey(
        StoredFile, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    file_name = models.CharField("file", max_length=200, editable=False)
    form = models.CharField(max_length=10, editable=False)
    encoding = models.CharField(max_length=10, blank=True, editable=False)
    delimiter = models.CharField(max_length=1, default=",", editable=False)
    # The first rows, for choosing what the columns mean.
    sample = JsonText(default=list, editable=False)
    has_header = models.BooleanField(default=True, editable=False)
    # What each column of the file is; empty for those that are left out.
    mapping = JsonText(default=list, editable=False)
    policy = models.CharField(max_length=20, choices=Policy, default=Policy.UPDATE)
    clear_blanks = models.BooleanField(default=False)

    phase = models.CharField(max_length=10, choices=Phase, default=Phase.CHECK, editable=False)
    # The cursor: rows and bytes of the file that were read in this phase. `done` and `total` are
    # bytes (rows, without a total, while a workbook is read).
    row = models.IntegerField(default=0, editable=False)
    offset = models.BigIntegerField(default=0, editable=False)
    created = models.IntegerField(default=0, editable=False)
    updated = models.IntegerField(default=0, editable=False)
    skipped = models.IntegerField(default=0, editable=False)
    refused = models.IntegerField(default=0, editable=False)

    class Meta(Job.Meta):
        abstract = True

    def take(self, batch: list[Row]) -> Tally:
        """Deal with these rows: all of them, in a few statements; in the dry run (`dry`) write
        nothing but what `seen` remembers."""
        raise NotImplementedError

    # --- steps that people take ------------------------------------------------------------------

    @classmethod
    def drafted(cls, table: intake.Table) -> Self:
        """A job for an upload, not saved and not started."""
        return cls(
            state=cls.State.DRAFT,
            wake_at=clock.now(),
            file=table.file,
            file_name=table.file.name,
            form=table.form,
            encoding=table.encoding,
            delimiter=table.delimiter,
            sample=table.sample,
            has_header=table.has_header,
        )

    def begin_dry_run(self) -> None:
        """Begin the dry run, from the start of the file."""
        self._rewind(self.Phase.UNPACK if self.form == intake.XLSX else self.Phase.CHECK)

    def begin_import(self) -> None:
        """Begin the import itself, from the start of the file."""
        self._rewind(self.Phase.WRITE)

    def _rewind(self, phase: str) -> None:
        if self.file is not None:
            for forgotten in (RefusedRow, SeenKey):
                known: Any = forgotten._default_manager
                known.filter(file=self.file)._raw_delete("default")
        self.phase, self.done, self.row, self.offset = phase, 0, 0, 0
        self.created = self.updated = self.skipped = self.refused = 0
        self.total = self.file.size if self.file and phase != self.Phase.UNPACK else None
        self.begin()

    # --- what the pages show ----------------------------------------------------------------------

    @property
    def dry(self) -> bool:
        return self.phase != self.Phase.WRITE

    @property
    def is_checked(self) -> bool:
        """The dry run is through, and nothing has been imported."""
        return self.state == self.State.DONE and self.dry

    @property
    def headers(self) -> list[str]:
        """A name for each column, no two alike."""
        named = self.sample[0] if self.has_header else [""] * len(self.sample[0])
        found: list[str] = []
        for number, name in enumerate(named, 1):
            name = " ".join(name.split())[:100] or f"Column {number}"
            found.append(f"{name} ({number})" if name in found else name)
        return found

    # --- the work ---------------------------------------------------------------------------------

    def prepare(self) -> Any:
        if self.phase != self.Phase.UNPACK:
            return None
        try:
            return workbook.opened(self.pk, self.row, self._pieces) if self.file else None
        except Unreadable as wrong:
            raise JobFailed(str(wrong)) from wrong

    def _pieces(self) -> Iterator[bytes]:
        return self.file.read() if self.file else iter(())

    def slice(self) -> bool:
        if self.file is None:
            raise JobFailed("The file is no longer kept: upload it again.")
        try:
            return self._unpack() if self.phase == self.Phase.UNPACK else self._rows()
        except Unreadable as wrong:
            raise JobFailed(str(wrong)) from wrong

    def _unpack(self) -> bool:
        """The next rows of the workbook, written as CSV to a file that takes its place."""
        assert self.file is not None
        if self.row == 0:
            if self.unpacked is not None:
                self.unpacked.delete()
            self.unpacked = StoredFile.objects.create(name=self.file.name)
        assert self.unpacked is not None
        batch = list(islice(self.prepared, SLICE))
        lines = (text.line(cells if any(cells) else []) for cells in batch)
        self.unpacked.append("".join(lines).encode("utf-8", errors="replace"))
        self.row += len(batch)
        self.done = self.row
        if len(batch) == SLICE:
            workbook.keep_open(self.pk, self.prepared)
            return False
        self.file.delete()
        self.file, self.unpacked, self.form = self.unpacked, None, intake.CSV
        self.phase, self.row, self.done, self.total = self.Phase.CHECK, 0, 0, self.file.size
        return False

    def _rows(self) -> bool:
        assert self.file is not None
        batch: list[Row] = []
        wide: list[tuple[Row, str]] = []
        ended = True
        offset, first = self.offset, self.row
        width = len(self.sample[0])
        read = text.records(self.file.read(offset), self.delimiter, first)
        for cells, at in read:
            self.row, self.offset = self.row + 1, offset + at
            if any(cell.strip() for cell in cells) and not (self.row == 1 and self.has_header):
                cells = [restore(cell) for cell in cells]
                row = Row(self.row, cells + [""] * (width - len(cells)))
                if any(cell.strip() for cell in cells[width:]):
                    wide.append((row, _too_wide(len(cells), width)))
                else:
                    batch.append(row)
            if self.row - first >= SLICE:
                ended = False
                break
        tally = self.take(batch)
        tally.refused += wide
        self._count(tally)
        self.done = self.offset
        return ended

    def _count(self, tally: Tally) -> None:
        self.created += tally.created
        self.updated += tally.updated
        self.skipped += tally.skipped
        self.refused += len(tally.refused)
        rows.insert(
            [
                RefusedRow(file=self.file, number=row.number, cells=row.cells, sentence=why[:500])
                for row, why in sorted(tally.refused, key=lambda each: each[0].number)
            ]
        )


def _too_wide(cells: int, width: int) -> str:
    return (
        f"The row has {cells} cells, but the first one has {width}: quotes may be missing around "
        "text that holds the separator."
    )
