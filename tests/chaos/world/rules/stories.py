"""Runs: each ended, for a reason that is true, and its timeline is what its connector does."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.world.record import MAPPING, NOTHING_HAPPENED, Item, Record, Row, Violation

ENDED = ("done", "stopped", "failed", "cancelled")
# Kinds that may fail here by their own fault, since the outside does.
MAY_FAIL = ("http_api",)
KILLS = ("kill_worker", "kill_workers", "kill_backend", "crash_cluster")
POISON = 6


def every_run_ended(record: Record) -> Iterator[Violation]:
    for run in record.runs:
        if run["state"] not in ENDED:
            yield Violation("ended", f"Run {run['id']} never ended: {run['state']}.")


def innocent_runs_do_not_fail(record: Record) -> Iterator[Violation]:
    """A run fails by what the outside answered, or because it really was interrupted too often."""
    for run in record.runs:
        if run["state"] != "failed":
            continue
        failed = [line for line in record.lines_of[run["id"]] if line["result"] == "failed"]
        told = f"{failed[-1]['label']}: " if failed else None
        if told is not None and run["error"].startswith(told):
            continue
        kills = sum(fault["fault"] in KILLS for fault in record.faults)
        if not (run["error"].startswith("Poison") and kills >= POISON):
            yield Violation("innocent", f"Run {run['id']} failed: {run['error']}")


def innocent_actions_do_not_fail(record: Record) -> Iterator[Violation]:
    for line in record.lines:
        if line["result"] in ("failed", "retrying") and line["kind"] not in MAY_FAIL:
            says = f"{line['label']} of run {line['run_id']} failed: {line['note']}"
            yield Violation("innocent", says)


def passes_are_moves(record: Record) -> Iterator[Violation]:
    """Only an operator raises a pass, once for each move that may have been made."""
    asked: Counter[int] = Counter()
    for move in record.moves:
        if move["move"] == "again" and (not move["sure"] or move["said"]):
            asked.update(move["ids"] or [0])
    for run in record.runs:
        again = [line for line in record.lines_of[run["id"]] if line["kind"] == "again"]
        unsure = asked[0]
        if len(again) != run["passage"] - 1:
            says = f"Run {run['id']} is in pass {run['passage']} and tells of {len(again)}."
            yield Violation("passes", says)
        elif not asked[run["id"]] <= len(again) <= asked[run["id"]] + unsure:
            says = f"Run {run['id']} was run again {len(again)} times, not {asked[run['id']]}."
            yield Violation("passes", says)


def nothing_after_a_cancel(record: Record) -> Iterator[Violation]:
    for run in record.runs:
        cancelled: set[int] = set()
        for line in record.lines_of[run["id"]]:
            if line["result"] == "cancelled":
                cancelled.add(line["passage"])
            elif line["passage"] in cancelled and line["kind"] not in NOTHING_HAPPENED:
                says = f"Run {run['id']} was cancelled, and then did {line['label']}."
                yield Violation("cancelled", says)
        if run["state"] == "cancelled" and run["passage"] not in cancelled:
            yield Violation("cancelled", f"Run {run['id']} was cancelled by nobody.")


def timelines_tell_the_flow(record: Record) -> Iterator[Violation]:
    """In each pass every action ended once, in the order of the flow, from where the pass began; to
    the last one, if the run is done."""
    for run in record.runs:
        for passage in range(1, run["passage"] + 1):
            yield from _one_pass(record, run, passage)


def _one_pass(record: Record, run: Row, passage: int) -> Iterator[Violation]:
    ahead = _beginning(record, run, passage)
    where = f"Run {run['id']} ({record.names[run['connector_id']]}), pass {passage}"
    for line in record.lines_of[run["id"]]:
        if line["passage"] != passage or _tells_nothing(line):
            continue
        if not ahead or (line["action_uid"] or "") != ahead[0].uid:
            expected = ahead[0].label if ahead else "its end"
            yield Violation("story", f"{where}: {line['label']} where {expected} was to come.")
            return
        if _is_final(line, ahead[0]):
            ahead.pop(0)
    if run["state"] == "done" and run["passage"] == passage and ahead:
        yield Violation("story", f"{where} is done without {ahead[0].label}.")


def _beginning(record: Record, run: Row, passage: int) -> list[Item]:
    items = record.items(run)
    if passage == 1:
        return items
    for line in record.lines_of[run["id"]]:
        if line["kind"] == "again" and line["passage"] == passage:
            place = line["note"].split('"')[1]
            while items and items[0].label != place:
                items.pop(0)
            return items
    return []


def _tells_nothing(line: Row) -> bool:
    return line["kind"] in NOTHING_HAPPENED or line["result"] == "cancelled"


def _is_final(line: Row, item: Item) -> bool:
    if line["result"] == "waiting":
        return item.kind == "delay"
    return line["result"] in ("done", "failed", "skipped") or item is MAPPING


RULES = [
    every_run_ended,
    innocent_runs_do_not_fail,
    innocent_actions_do_not_fail,
    passes_are_moves,
    nothing_after_a_cancel,
    timelines_tell_the_flow,
]
