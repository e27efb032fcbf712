"""In order per contact: of one person, the runs of a connector go one after the other.

Timeline entries get their ids in the order in which they were written, and what a run does after
another one has ended is written after it; so ids tell the order whatever the clocks said.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.world.record import MAPPING, NOTHING_HAPPENED, Record, Row, Violation

# Seconds that a turn which began before a merge may take to begin a run.
MOMENT = 2.0


@dataclass(frozen=True)
class Stretch:
    """What a run did in its first pass, from its first to its last entry."""

    run: int
    n: int
    first: int
    last: int
    # When it began.
    at: float


def runs_go_one_after_the_other(record: Record) -> Iterator[Violation]:
    for (_, phone), stretches in _lines(record).items():
        by_begin = sorted(stretches, key=lambda stretch: stretch.first)
        for before, after in pairwise(by_begin):
            if after.first < before.last and not _were_parted(record, [phone], before, after):
                yield Violation("order", f"Run {after.run} began before run {before.run} ended.")


def as_they_were_accepted(record: Record) -> Iterator[Violation]:
    """A post that was answered before another one was made comes first."""
    for (_, phone), stretches in _lines(record).items():
        yield from _overtaken(record, stretches, [phone])


def merged_contacts_are_one_line(record: Record) -> Iterator[Violation]:
    """What began while two contacts were one kept order with the runs of both."""
    if record.clock_was_wrong:
        return  # When a run began is known by the product's clock alone.
    lines = _lines(record)
    for since, until, phones in _merged(record):
        for connector in {connector for connector, _ in lines}:
            both = [one for phone in phones for one in lines.get((connector, phone), [])]
            fresh = [one for one in both if since + MOMENT < one.at < until]
            for one in fresh:
                for other in both:
                    in_between = other.first < one.first < other.last
                    if in_between and not _were_parted(record, phones, one, other):
                        says = f"Run {one.run} began before run {other.run}, merged, ended."
                        yield Violation("merged", says)
            yield from _overtaken(record, fresh, phones)


def _overtaken(record: Record, stretches: list[Stretch], phones: list[str]) -> Iterator[Violation]:
    posts = {post["n"]: post for post in record.posts if post["event_id"] is not None}
    by_begin = sorted(stretches, key=lambda stretch: stretch.first)
    for place, later in enumerate(by_begin):
        for earlier in by_begin[place + 1 :]:
            one, other = posts.get(later.n), posts.get(earlier.n)
            in_turn = not (one and other) or other["until"] >= one["at"]
            if not in_turn and not _were_parted(record, phones, later, earlier):
                says = f"Run {later.run} went before run {earlier.run}, accepted earlier."
                yield Violation("order", says)


def _were_parted(record: Record, phones: list[str], one: Stretch, other: Stretch) -> bool:
    """Whether both may have stood in lines of their own: a merge with one of these numbers was
    undone between them, and runs stay in the line that they had joined."""
    since = min((post["at"] for post in record.posts if post["n"] in (one.n, other.n)), default=0.0)
    until = math.inf if record.clock_was_wrong else max(one.at, other.at) + MOMENT
    return any(
        since < move["at"] < until and (not move["sure"] or not parted.isdisjoint(phones))
        for move, parted in _undone(record)
    )


def _undone(record: Record) -> Iterator[tuple[Row, set[str]]]:
    """Each undoing of a merge, and the numbers of all whom it may have parted: of both contacts,
    and of those that had been merged into one of them before."""
    numbers = {contact["id"]: contact["phone"] for contact in record.contacts}
    told = [tuple(move["ids"]) for move in record.moves if move["move"] == "merge"]
    all_merges = [(merge["loser_id"], merge["survivor_id"]) for merge in record.merges]
    # Of a merge whose word was lost nobody knows when it was.
    joined = [pair for pair in all_merges if pair not in told]
    for move in record.moves:
        pair = tuple(move["ids"])
        if move["move"] == "merge" and move["said"] is True:
            joined.append(pair)
        elif move["move"] == "undo":
            yield move, {numbers[pk] for pk in _below(joined, {*pair}) if pk in numbers}
            if move.get("said") is True and pair in joined:
                joined.remove(pair)


def _below(joined: list[tuple[int, ...]], tops: set[int]) -> set[int]:
    """These contacts, and all that were merged into them, at once or by others."""
    found = set(tops)
    while more := {loser for loser, survivor in joined if survivor in found} - found:
        found |= more
    return found


def _merged(record: Record) -> Iterator[tuple[float, float, list[str]]]:
    """From when until when two numbers were certainly those of one contact."""
    phones = {contact["id"]: contact["phone"] for contact in record.contacts}
    for place, move in enumerate(record.moves):
        if move["move"] == "merge" and move["sure"] and move["said"] is True:
            ends = [
                undone["at"]
                for undone in record.moves[place + 1 :]
                if undone["move"] == "undo" and (not undone["sure"] or undone["ids"] == move["ids"])
            ]
            until = min(ends, default=float("inf"))
            yield move["until"], until, [phones[contact] for contact in move["ids"]]


def _lines(record: Record) -> dict[tuple[int, str], list[Stretch]]:
    """The stretches of each connector that keeps order and each number. Runs that were run again
    went before others on purpose, so they are left out."""
    found: dict[tuple[int, str], list[Stretch]] = defaultdict(list)
    for run in record.runs:
        if not record.plan[record.names[run["connector_id"]]]["in_order"] or run["passage"] > 1:
            continue
        lines = [
            line
            for line in record.lines_of[run["id"]]
            if line["kind"] not in (*NOTHING_HAPPENED, MAPPING.kind)
            and line["result"] != "cancelled"
        ]
        if lines:
            did, began = [line["id"] for line in lines], lines[0]["at"]
            phone = record.said.get(run["event_id"], {}).get("phone", "")
            stretch = Stretch(run["id"], record.n(run), min(did), max(did), began)
            found[run["connector_id"], phone].append(stretch)
    return found


RULES = [runs_go_one_after_the_other, as_they_were_accepted, merged_contacts_are_one_line]
