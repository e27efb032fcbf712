"""make prove, PART=mutants: small faults are put into the modules that everything rests on, one at
a time, by mutmut, and the tests of their room must fail on each. Written to mutants.md.

On SQLite, each fault in a process forked from one that has imported everything and knows which
tests come to which function. Faults are put into functions: not into decorated ones, nor into
constants and SQL in f-strings. PROVE_SHARE takes a sample, the same one each time; PROVE_MINUTES is
the limit of all rooms together (LEAST for each), and what did not get its turn by then is told.
"""

import difflib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

from apps.core import clock
from tests.installation import ROOT

HERE = Path(__file__).parent
RESULT, REASONS = HERE / "mutants.md", HERE / "mutants_reasons.toml"
SHARE = float(os.environ.get("PROVE_SHARE", "1"))
MINUTES = float(os.environ.get("PROVE_MINUTES", "240"))
# Seconds for any room: its tests run three times before the first fault is tried.
LEAST = 240
# What the tests read of the repository besides the modules.
COPIED = ("tests", "templates", "static", "docs", "benchmarks", "manage.py", "pyproject.toml")
NAMES = """
import json, sys
from pathlib import Path
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name
root, *paths = map(Path, sys.argv[1:])
for path in paths:
    names = mutate_file_contents(str(path), (root / path).read_text()).mutant_names
    print(json.dumps([get_mutant_name(path, name) for name in names]))
"""
# Of mutmut's exit codes; any other is that of tests that failed.
VERDICTS = {None: "not run", 0: "survived", 5: "untested", 33: "untested"}
VERDICTS |= dict.fromkeys((24, -24, 36, 152, 255), "timed out")
COLUMNS = ("faults", "killed", "timed out", "survived", "untested", "not run")


@dataclass(frozen=True)
class Room:
    """Modules of a directory, and the tests that must find their faults."""

    directory: str
    modules: str
    tests: str

    @property
    def paths(self) -> list[str]:
        return [f"{self.directory}/{name}.py" for name in self.modules.split()]


ROOMS = [
    Room(
        "apps/engine",
        "again cancel delays retries breaker ending",
        "engine/test_again engine/test_cancel_runs engine/test_waking engine/test_retries"
        " engine/test_delay_pages engine/test_calls engine/test_ending",
    ),
    Room(
        "apps/engine",
        "order joining",
        "engine/test_order engine/test_order_workers engine/test_joining",
    ),
    Room(
        "apps/engine",
        "intake dedupe schedules sources routing",
        "engine/test_intake engine/test_dedupe engine/test_schedules engine/test_hooks"
        " actions/kinds/test_route_to_connector engine/test_order_workers",
    ),
    Room(
        "apps/engine",
        "claims turn group advance plan mending",
        "engine/test_claims engine/test_turn engine/test_calls engine/test_named_calls"
        " engine/test_late_answers"
        " engine/test_trouble engine/test_retries engine/test_merged engine/test_order"
        " actions/kinds/test_map_contact",
    ),
    Room(
        "apps/engine",
        "calls dialling limits queues rounds agenda sweep leases clock_steps jobs",
        "engine/test_calls engine/test_named_calls engine/test_late_answers engine/test_rate"
        " engine/test_queues"
        " engine/test_sweep engine/test_clock_steps engine/test_clock_limits engine/test_jobs"
        " engine/test_waking"
        " engine/test_trouble engine/test_schedules actions/kinds/test_http_api_failures",
    ),
    Room(
        "apps/core",
        "due jobs trouble",
        "core/test_owners core/test_trouble engine/test_sweep engine/test_jobs engine/test_claims"
        " engine/test_clock_steps engine/test_clock_limits"
        " engine/test_trouble engine/test_drain",
    ),
    Room("apps/core", "phone", "core/test_phone"),
    Room("apps/core/http", "redaction", "core/http/test_redaction"),
    Room(
        "apps/messaging",
        "outbox delivery gate addresses settling",
        "messaging/test_outbox messaging/test_delivery messaging/test_sends messaging/test_gate"
        " messaging/test_addresses messaging/test_message_pages engine/test_sweep"
        " engine/test_trouble messaging/test_late_sends",
    ),
    Room(
        "apps/crm",
        "merging erasing",
        "crm/test_merging crm/test_erasing crm/test_merge_pages engine/test_merged"
        " engine/test_joining datastore/test_people",
    ),
    Room(
        "apps/datastore/tables",
        "matching rows",
        "actions/test_row_matching actions/kinds/test_update_row actions/kinds/test_find_row"
        " datastore/test_sheets",
    ),
    Room(
        "apps/actions/tables",
        "matching",
        "actions/test_row_matching actions/kinds/test_update_row actions/kinds/test_find_row"
        " actions/kinds/test_delete_row",
    ),
]


@dataclass
class Fault:
    """One mutant: what mutmut calls it, where it is, the lines before and after, and what came of
    it."""

    path: str
    name: str
    verdict: str = "not run"
    was: str = ""
    becomes: str = ""

    @property
    def function(self) -> str:
        """`advance`, or `Lines.look`."""
        mangled = self.name.rpartition(".")[2].partition("__mutmut_")[0]
        return mangled.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")

    @property
    def lives(self) -> bool:
        return self.verdict in ("survived", "untested")

    @cached_property
    def reason(self) -> str:
        """Why no test need find it; empty where that is not known."""
        return next((each["why"] for each in REASONED if self._is_meant_by(each)), "")

    def _is_meant_by(self, reason: dict[str, Any]) -> bool:
        if reason.get("only_case") and self.was.lower() != self.becomes.lower():
            return False
        said = {"module": self.path, "function": self.function}
        if any(reason.get(key, value) != value for key, value in said.items()):
            return False
        texts = {"was": self.was, "becomes": self.becomes}
        return all(re.search(reason.get(key, ""), text) for key, text in texts.items())


REASONED: list[dict[str, Any]] = tomllib.loads(REASONS.read_text())["reason"]


# --- running --------------------------------------------------------------------------------------


def main() -> None:
    chosen = [_chosen(room) for room in ROOMS]
    begun, left = monotonic(), sum(map(len, chosen))
    found: list[Fault] = []
    for room, faults in zip(ROOMS, chosen, strict=True):
        if not faults:
            continue
        seconds = (MINUTES * 60 - (monotonic() - begun)) * len(faults) / left
        seconds = max(seconds, LEAST)
        left -= len(faults)
        found += _run(room, faults, seconds)
        print(f"{', '.join(room.paths)}: {dict(Counter(f.verdict for f in faults))}", flush=True)
    _write(found, monotonic() - begun)


def _chosen(room: Room) -> list[Fault]:
    """All faults of the room or, of a sample, the same ones each time."""
    with tempfile.TemporaryDirectory() as home:
        # mutmut won't do anything where it finds no sources.
        Path(home, "setup.cfg").write_text("[mutmut]\nsource_paths=.\n")
        command = [sys.executable, "-c", NAMES, ROOT, *room.paths]
        told = subprocess.run(command, cwd=home, stdout=subprocess.PIPE, text=True, check=True)
    faults = [
        Fault(path, name)
        for path, line in zip(room.paths, told.stdout.splitlines(), strict=True)
        for name in json.loads(line)
    ]
    return [fault for fault in faults if _rank(fault.name) < SHARE]


def _rank(name: str) -> float:
    return int(sha256(name.encode()).hexdigest()[:8], 16) / 16**8


def _run(room: Room, faults: list[Fault], seconds: float) -> list[Fault]:
    """The faults with their verdicts, as far as these seconds reached."""
    with tempfile.TemporaryDirectory(prefix="switchboard-mutants-") as home:
        work = Path(home)
        _lay_out(room, work)
        names = [fault.name for fault in faults] if SHARE < 1 else []
        said = _mutmut(work, ["--max-children", str(os.cpu_count() or 1), *names], seconds)
        _read(work, room, faults)
        if all(fault.verdict == "not run" for fault in faults) and seconds > 120:
            raise SystemExit(f"No fault of {room.paths} was tried:\n{said[-3000:]}")
    return faults


def _lay_out(room: Room, work: Path) -> None:
    """A copy of the repository for mutmut to work in, told what to mutate and what to run."""
    hidden = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    for name in ("apps", "config", *COPIED):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, work / name, **({"ignore": hidden} if copy is shutil.copytree else {}))
    options = {
        "source_paths": ["apps", "config"],
        "only_mutate": room.paths,
        "also_copy": COPIED,
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist"],
        "pytest_add_cli_args_test_selection": [f"tests/{name}.py" for name in room.tests.split()],
    }
    lines = [f"{name}=\n    " + "\n    ".join(values) for name, values in options.items()]
    # A fault that never ends is stopped at some ten times what its tests take.
    lines += ["timeout_multiplier=10", "timeout_constant=2", "use_git_change_detection=false"]
    lines += ["track_dependencies=false"]
    (work / "setup.cfg").write_text("[mutmut]\n" + "\n".join(lines) + "\n")


def _mutmut(work: Path, arguments: list[str], seconds: float) -> str:
    """Run it for so long at the most; what it printed."""
    said = work / "said"
    environment = {k: v for k, v in os.environ.items() if k != "TEST_DATABASE_URL"}
    with said.open("w") as out:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "mutmut", "run", *arguments],
            cwd=work,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return said.read_text(errors="replace")


# --- reading --------------------------------------------------------------------------------------


def _read(work: Path, room: Room, faults: list[Fault]) -> None:
    for path in room.paths:
        mutated = work / "mutants" / path
        told = mutated.with_name(mutated.name + ".meta")
        if not told.exists():
            continue
        codes = json.loads(told.read_text())["exit_code_by_key"]
        spans = json.loads(mutated.with_name(mutated.name + ".spans").read_text())["spans"]
        source = mutated.read_text().splitlines()
        for fault in faults:
            if fault.path == path:
                fault.verdict = VERDICTS.get(codes.get(fault.name), "killed")
                if fault.lives:
                    _tell_lines(fault, source, spans)


def _tell_lines(fault: Fault, source: list[str], spans: dict[str, list[int]]) -> None:
    """Set the lines that differ, each side as one line."""
    mutant = fault.name.rpartition(".")[2]
    original = mutant.rpartition("_")[0] + "_orig"
    before, after = (_body(source, spans[name], name) for name in (original, mutant))
    changes = [line for line in difflib.ndiff(before, after) if line[0] in "-+"]
    for sign, side in (("-", "was"), ("+", "becomes")):
        setattr(fault, side, " ".join(line[2:].strip() for line in changes if line[0] == sign))


def _body(source: list[str], span: list[int], name: str) -> list[str]:
    first, last = span
    return [line.replace(name, "…") for line in source[first - 1 : last]]


# --- writing --------------------------------------------------------------------------------------


def _write(faults: list[Fault], seconds: float) -> None:
    lines = [
        "# Faults put in by a machine",
        "",
        f"`make prove PART=mutants`, {clock.now():%Y-%m-%d}, share {SHARE:g} of all faults, "
        f"{seconds / 60:.0f} minutes on {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, SQLite. A fault is found when a test fails on it or never "
        "ends; one that survives is *excused* when [a reason](mutants_reasons.toml) says why no "
        "test need find it. *Untested*: no test of the room comes to the function.",
        "",
        f"| module | {' | '.join(COLUMNS)} | found | found or excused |",
        "|---|" + "---|" * (len(COLUMNS) + 2),
    ]
    for path in dict.fromkeys(fault.path for fault in faults):
        lines.append(_row(path, [fault for fault in faults if fault.path == path]))
    lines.append(_row("**all**", faults))
    lines += ["", "## Those that live", ""]
    living = [fault for fault in faults if fault.lives]
    for why, count in Counter(fault.reason for fault in living if fault.reason).most_common():
        lines.append(f"- {count} × {why}")
    lines += ["", "Without a reason:", ""]
    for fault in living:
        if not fault.reason:
            lines.append(f"- `{fault.path}` `{fault.function}` ({fault.verdict})")
            lines.append(f"  `{_short(fault.was)}` → `{_short(fault.becomes)}`")
    RESULT.write_text("\n".join(lines) + "\n")


def _row(title: str, faults: list[Fault]) -> str:
    counts = Counter(fault.verdict for fault in faults)
    tried = len(faults) - counts["not run"]
    found = counts["killed"] + counts["timed out"]
    excused = sum(fault.lives and bool(fault.reason) for fault in faults)
    shares = [f"{100 * n / tried:.1f} %" if tried else "" for n in (found, found + excused)]
    numbers = [len(faults), *(counts[name] for name in COLUMNS[1:])]
    return f"| {title} | {' | '.join(map(str, [*numbers, *shares]))} |"


def _short(text: str) -> str:
    text = text.replace("`", "'") or "(nothing)"
    return text if len(text) <= 150 else text[:149] + "…"
