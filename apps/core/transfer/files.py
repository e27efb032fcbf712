"""Files in the database, in pieces: every host that works on a job can read and write them, and
nobody needs the whole of one in memory."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Max

from apps.core import clock
from apps.core.fields import JsonText

PIECE = 64 * 1024
DROPPED_AT_ONCE = 2_000


class StoredFile(models.Model):
    """A file that was uploaded or made here. It is dropped, with all that is known of its rows,
    TRANSFER_DAYS after it was last written."""

    name = models.CharField(max_length=200)
    size = models.BigIntegerField(default=0)
    written_at = models.DateTimeField(default=clock.now, db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    def append(self, data: bytes) -> None:
        """Add `data` at the end, inside the caller's transaction."""
        number = self.pieces.aggregate(last=Max("number"))["last"] or 0
        starts = range(0, len(data), PIECE)
        FilePiece.objects.bulk_create(
            FilePiece(
                file=self,
                number=number + place,
                start=self.size + start,
                data=data[start : start + PIECE],
            )
            for place, start in enumerate(starts, 1)
        )
        self.size, self.written_at = self.size + len(data), clock.now()
        self.save(update_fields=["size", "written_at"])

    def read(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from `start` on, a piece at a time."""
        first = self.pieces.filter(start__lte=start).order_by("-number").first()
        piece: Any = first
        while piece is not None:
            yield bytes(piece.data)[max(0, start - piece.start) :]
            piece = self.pieces.filter(number=piece.number + 1).first()


class FilePiece(models.Model):
    file = models.ForeignKey(
        StoredFile, on_delete=models.CASCADE, related_name="pieces", db_index=False
    )
    number = models.IntegerField()
    # Which byte of the file its first one is.
    start = models.BigIntegerField()
    data = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="core_file_piece")]

    def __str__(self) -> str:
        return f"{self.file_id}, piece {self.number}"


class RefusedRow(models.Model):
    """A row of an uploaded file that was not imported, and the sentence that says why."""

    file = models.ForeignKey(
        StoredFile, on_delete=models.CASCADE, related_name="refused", db_index=False
    )
    # As a spreadsheet counts: the first row of the file is 1.
    number = models.IntegerField()
    cells = JsonText(default=list)
    sentence = models.CharField(max_length=500)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["file", "number"], name="core_refused_row")]

    def __str__(self) -> str:
        return f"Row {self.number}"

    @property
    def shown(self) -> str:
        """What stands in the row, in one line."""
        return " · ".join(cell for cell in self.cells if cell.strip())[:500]


class SeenKey(models.Model):
    """What a dry run would have made by now, so that it counts later rows of the same file as the
    import itself will."""

    file = models.ForeignKey(
        StoredFile, on_delete=models.CASCADE, related_name="seen", db_index=False
    )
    key = models.CharField(max_length=300)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["file", "key"], name="core_seen_key")]

    def __str__(self) -> str:
        return self.key


@transaction.atomic
def store(name: str, data: Iterable[bytes]) -> StoredFile:
    """A new file; `data` comes in portions of any size."""
    file = StoredFile.objects.create(name=name[:200])
    waiting = b""
    for portion in data:
        waiting += portion
        if len(waiting) >= 16 * PIECE:
            file.append(waiting)
            waiting = b""
    if waiting:
        file.append(waiting)
    return file


def prune() -> int:
    """Drop the files that are old enough (a Django-Q task of every minute); returns how many."""
    before = clock.now() - timedelta(days=settings.TRANSFER_DAYS)
    dropped = 0
    for file in StoredFile.objects.filter(written_at__lt=before).order_by("pk")[:20]:
        _drop_in_slices(file)
        file.delete()
        dropped += 1
    return dropped


def _drop_in_slices(file: StoredFile) -> None:
    for table in (FilePiece, RefusedRow, SeenKey):
        rows: Any = table._default_manager
        while ids := list(rows.filter(file=file).values_list("pk", flat=True)[:DROPPED_AT_ONCE]):
            rows.filter(pk__in=ids).delete()
