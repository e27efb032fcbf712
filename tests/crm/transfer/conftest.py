import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from openpyxl import Workbook

from apps.core.transfer import intake
from apps.crm.transfer.columns import ContactColumns
from apps.crm.transfer.models import ContactImport


def uploaded(content: str | bytes, name: str = "people.csv", **columns: Any) -> ContactImport:
    """An import with the columns that its headers suggest, not started."""
    raw = content.encode() if isinstance(content, str) else content
    table = intake.receive(SimpleUploadedFile(name, raw))
    job = ContactImport.drafted(table)
    for column, value in columns.items():
        setattr(job, column, value)
    job.mapping = columns.get("mapping") or ContactColumns().guess(job.headers)
    job.save()
    return job


def xlsx(*rows: list[Any]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


@pytest.fixture
def imported(drain, clock):
    """Upload, dry run, import; returns the job as it ended."""

    def run(content: str | bytes, name: str = "people.csv", **columns: Any) -> ContactImport:
        job = uploaded(content, name, **columns)
        job.begin_dry_run()
        drain()
        job.refresh_from_db()
        assert job.is_checked, job.note
        foreseen = counts(job)
        job.begin_import()
        drain()
        job.refresh_from_db()
        assert job.state == "done", job.note
        assert counts(job) == foreseen
        return job

    return run


def counts(job: ContactImport) -> tuple[int, int, int, int]:
    """Created, updated, skipped, refused."""
    return job.created, job.updated, job.skipped, job.refused


def problems(job: ContactImport) -> list[tuple[int, str]]:
    return list(job.file.refused.order_by("number").values_list("number", "sentence"))
