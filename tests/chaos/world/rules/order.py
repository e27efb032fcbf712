"""In order per contact: of one person, the runs of a connector go one after the other.

Timeline entries get their ids in the order in which they were written, and what a run does after
another one has ended is written after it; so ids tell the order whatever the clocks said.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.world.record import MAPPING, NOTHING_HAPPENED, Record, Violation


@dataclass(frozen=True)
class Stretch:
    """What a run did in its first pass, from its first to its last entry."""

    run: int
    n: int
    first: int
    last: int


def runs_go_one_after_the_other(record: Record) -> Iterator[Violation]:
    for stretches in _lines(record).values():
        by_begin = sorted(stretches, key=lambda stretch: stretch.first)
        for before, after in pairwise(by_begin):
            if after.first < before.last:
                yield Violation("order", f"Run {after.run} began before run {before.run} ended.")


def as_they_were_accepted(record: Record) -> Iterator[Violation]:
    """A post that was answered before another one was made comes first."""
    posts = {post["n"]: post for post in record.posts if post["event_id"] is not None}
    for stretches in _lines(record).values():
        by_begin = sorted(stretches, key=lambda stretch: stretch.first)
        for place, later in enumerate(by_begin):
            for earlier in by_begin[place + 1 :]:
                one, other = posts.get(later.n), posts.get(earlier.n)
                if one and other and other["until"] < one["at"]:
                    says = f"Run {later.run} went before run {earlier.run}, accepted earlier."
                    yield Violation("order", says)


def _lines(record: Record) -> dict[tuple[int, str], list[Stretch]]:
    """The stretches of each connector that keeps order and each number. Runs that were run again
    went before others on purpose, so they are left out."""
    found: dict[tuple[int, str], list[Stretch]] = defaultdict(list)
    for run in record.runs:
        if not record.plan[record.names[run["connector_id"]]]["in_order"] or run["passage"] > 1:
            continue
        did = [
            line["id"]
            for line in record.lines_of[run["id"]]
            if line["kind"] not in (*NOTHING_HAPPENED, MAPPING.kind)
            and line["result"] != "cancelled"
        ]
        if did:
            phone = record.said.get(run["event_id"], {}).get("phone", "")
            stretch = Stretch(run["id"], record.n(run), min(did), max(did))
            found[run["connector_id"], phone].append(stretch)
    return found


RULES = [runs_go_one_after_the_other, as_they_were_accepted]
