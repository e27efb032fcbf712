"""make prove, PART=imports: contacts in and out, 10,000 and 100,000 of them, each by one worker
process: rows a second, and its memory. Written to imports.md."""

import json
import tempfile
from pathlib import Path

from apps.core import clock
from benchmarks.speed import machine
from benchmarks.speed.figures import SHARE, of
from tests.installation import ROOT, Installation, installed

RESULT = Path(__file__).parent / "imports.md"
FORGET = "from apps.crm.transfer.models import *; ContactImport.objects.all().delete()"
SIZES = (10_000, 100_000)
Took = dict[str, float]


def main(server: str) -> None:
    measured: dict[str, list[Took]] = {}
    for form in ("csv", "xlsx"):
        for size in map(of, SIZES):
            for name, took in _round(server, form, size).items():
                measured.setdefault(f"{name}, {form.upper()}", []).append(took)
                print(f"{name}, {form}, {size:,}: {took}", flush=True)
    _write(server, measured)


def _round(server: str, form: str, size: int) -> dict[str, Took]:
    """In a new installation: dry run, import, the same import once more, export."""
    with tempfile.TemporaryDirectory() as home, installed(Path(home), server) as made:
        found = {}
        for name in ("import", "import once more"):
            made.python(FORGET)
            _do(made, "upload", form, str(size))
            found["dry run" if name == "import" else "dry run once more"] = _work(made)
            _do(made, "start")
            found[name] = _work(made)
            ended = made.query("SELECT state, created, updated FROM transfer_contactimport")
            expected = ("done", size, 0) if name == "import" else ("done", 0, size)
            assert ended == [expected], ended
        _do(made, "export", form)
        found["export"] = _work(made)
        assert made.query("SELECT state, done FROM transfer_contactexport") == [("done", size)]
        assert made.query("SELECT count(*) FROM crm_contact") == [(size,)]
        del found["dry run once more"]
        return found


def _do(made: Installation, *what: str) -> None:
    made.run("-m", "benchmarks.speed.importer", *what)


def _work(made: Installation) -> Took:
    """By a new process, so that its peak is of this work alone."""
    return json.loads(made.run("-m", "benchmarks.speed.importer", "work"))  # type: ignore[no-any-return]


def _write(server: str, measured: dict[str, list[Took]]) -> None:
    small, large = map(of, SIZES)
    lines = [
        "# Imports and exports of contacts",
        "",
        f"`PART=imports make prove`, {clock.now():%Y-%m-%d}, share {SHARE:g} of the full size. "
        f"{machine.shape(server)}. Rows with a mobile number, an email address, a name, a country, "
        "two tags and a numeric attribute, worked on by one worker process, a new one for each "
        "line. Memory is the most that this process ever had, Python and Django included.",
        "",
        f"| what | {small:,}: rows/s | {large:,}: rows/s | {small:,}: MB | {large:,}: MB | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for name, (few, many) in measured.items():
        lines.append(
            f"| {name} | {small / few['seconds']:,.0f} | {large / many['seconds']:,.0f} | "
            f"{few['peak']:.0f} | {many['peak']:.0f} | {many['peak'] / few['peak']:.2f} |"
        )
    lines += [
        "",
        "The dry run of a workbook reads the workbook, too. Workbooks are made as Excel makes "
        "them, with all texts in one table of their own.",
    ]
    RESULT.write_text("\n".join(lines) + "\n")
    print(f"Written to {RESULT.relative_to(ROOT)}")
