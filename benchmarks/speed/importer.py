"""Imports and exports of contacts by one worker process. Runs inside the installation:

    python -m benchmarks.speed.importer upload csv|xlsx ROWS     a dry run waits
    python -m benchmarks.speed.importer start                    the import waits
    python -m benchmarks.speed.importer export csv|xlsx          an export waits
    python -m benchmarks.speed.importer work                     do what waits

`work` prints {"seconds", "cpu", "peak"}: the last is the most memory that the process ever had, in
megabytes, Python and Django included.
"""

import io
import json
import resource
import sys
import time
import zipfile
from xml.sax.saxutils import escape

import django

HEADERS = ["Mobile", "Email", "Name", "Country", "Tags", "Shoe size"]


def row(n: int) -> list[str]:
    return [
        f"+49151{10_000_000 + n:08}",
        f"person{n}@example.org",
        f"Person {n} of the village",
        "DE",
        f"wave {n % 20}, imported",
        str(36 + n % 12),
    ]


def csv_file(rows: int) -> bytes:
    lines = [",".join(HEADERS)]
    lines += [",".join(f'"{cell}"' for cell in row(n)) for n in range(rows)]
    return "\r\n".join(lines).encode()


def xlsx_file(rows: int) -> bytes:
    """As Excel saves it: texts in a table of their own."""
    from apps.core.transfer import sheet

    numbers: dict[str, int] = {}
    lines = []
    for cells in [HEADERS, *(row(n) for n in range(rows))]:
        places = [numbers.setdefault(cell, len(numbers)) for cell in cells]
        written_cells = "".join(f'<c t="s"><v>{place}</v></c>' for place in places)
        lines.append(f"<row>{written_cells}</row>")
    parts = dict(sheet.PARTS)
    parts["xl/_rels/workbook.xml.rels"] = parts["xl/_rels/workbook.xml.rels"].replace(
        "</Relationships>",
        f'<Relationship Id="rId2" Type="{sheet.OFFICE}/sharedStrings" '
        'Target="sharedStrings.xml"/></Relationships>',
    )
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(
        "</Types>",
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{sheet.TYPE}'
        '.sharedStrings+xml"/></Types>',
    )
    texts = "".join(f"<si><t>{escape(text)}</t></si>" for text in numbers)
    parts["xl/sharedStrings.xml"] = f'<sst xmlns="{sheet.MAIN}">{texts}</sst>'
    body = f'<worksheet xmlns="{sheet.MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
    parts["xl/worksheets/sheet1.xml"] = body
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return written.getvalue()


class Upload(io.BytesIO):
    name = "people"

    @property
    def size(self) -> int:
        return len(self.getvalue())


def upload(form: str, rows: int) -> None:
    from apps.core.transfer import intake
    from apps.crm.models import Attribute
    from apps.crm.transfer.columns import ContactColumns
    from apps.crm.transfer.models import ContactImport

    Attribute.objects.get_or_create(key="shoe_size", name="Shoe size", type="number")
    raw = Upload(csv_file(rows) if form == "csv" else xlsx_file(rows))
    job = ContactImport.drafted(intake.receive(raw))
    job.mapping = ContactColumns().guess(job.headers)
    assert all(job.mapping), job.mapping
    job.begin_dry_run()


def start() -> None:
    from apps.crm.transfer.models import ContactImport

    job = ContactImport.objects.get()
    assert job.is_checked, (job.state, job.note)
    job.begin_import()


def export(form: str) -> None:
    from apps.crm.transfer.models import ContactExport

    ContactExport(form=form, described="All contacts").begin()


def work() -> dict[str, float]:
    from apps.engine.agenda import look
    from apps.engine.rounds import round_of_lanes

    begun, cpu = time.monotonic(), time.process_time()
    while round_of_lanes(look().due()):
        pass
    return {
        "seconds": time.monotonic() - begun,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    django.setup()
    what, *given = sys.argv[1:]
    if what == "upload":
        upload(given[0], int(given[1]))
    elif what == "start":
        start()
    elif what == "export":
        export(given[0])
    else:
        print(json.dumps(work()))
