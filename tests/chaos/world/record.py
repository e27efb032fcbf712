"""What is judged: the logs and the tables of one world, as plain values.

Times of posts, requests, moves and faults are seconds by a clock that was right all the time;
times in tables are whatever the product took the time for.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from tests.chaos.world import logs
from tests.chaos.world.gateway import ACCEPTED

Row = dict[str, Any]
NOTHING_HAPPENED = ("in_order", "again", "cancel")


@dataclass(frozen=True)
class Item:
    """One action of a connector, or its field mapping (uid: empty)."""

    uid: str
    label: str
    kind: str


MAPPING = Item("", "Field mapping", "field_mapping")


@dataclass(frozen=True)
class Violation:
    """A promise that was not kept: `rule` names it, `says` tells whoever looks into it."""

    rule: str
    says: str

    def __str__(self) -> str:
        return f"[{self.rule}] {self.says}"


@dataclass
class Record:
    plan: Row
    posts: list[Row] = field(default_factory=list)
    requests: list[Row] = field(default_factory=list)
    moves: list[Row] = field(default_factory=list)
    faults: list[Row] = field(default_factory=list)
    # The tables, by name (facts.py).
    events: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    notes: list[Row] = field(default_factory=list)
    tags: list[Row] = field(default_factory=list)
    contacts: list[Row] = field(default_factory=list)
    merges: list[Row] = field(default_factory=list)
    counters: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)

    @classmethod
    def of(cls, directory: Path) -> "Record":
        """A world that was kept."""
        logged = {
            name: sorted(logs.read(directory / f"{name}.jsonl"), key=lambda line: line["at"])
            for name in ("posts", "requests", "moves", "faults")
        }
        plan = json.loads((directory / "plan.json").read_text())
        return cls(plan, **logged, **json.loads((directory / "facts.json").read_text()))

    # --- looking up ------------------------------------------------------------------------------

    @cached_property
    def names(self) -> dict[int, str]:
        """Connectors by id."""
        return {connector["id"]: name for name, connector in self.plan.items()}

    def items(self, run: Row) -> list[Item]:
        """All that a run does, in order."""
        connector = self.plan[self.names[run["connector_id"]]]
        items = [Item(i["uid"], i["label"], i["kind"]) for i in connector["items"]]
        return [MAPPING, *items] if connector["mapping"] else items

    @cached_property
    def lines_of(self) -> dict[int, list[Row]]:
        """The timeline of each run, in order."""
        found: dict[int, list[Row]] = defaultdict(list)
        for line in sorted(self.lines, key=lambda line: line["id"]):
            found[line["run_id"]].append(line)
        return found

    def tries(self, run: Row, passage: int, item: Item) -> list[Row]:
        """What the timeline tells of one action in one pass."""
        return [
            line
            for line in self.lines_of[run["id"]]
            if line["passage"] == passage
            and (line["action_uid"] or "") == item.uid
            and line["result"] != "cancelled"
            and line["kind"] not in NOTHING_HAPPENED
        ]

    def done(self, run: Row, item: Item) -> list[Row]:
        """Every time that an action is recorded as done, over all passes."""
        passes = range(1, run["passage"] + 1)
        tries = [line for passage in passes for line in self.tries(run, passage, item)]
        return [line for line in tries if line["result"] == "done"]

    @cached_property
    def said(self) -> dict[int, Row]:
        """What each event holds."""
        return {event["id"]: json.loads(event["body"]) for event in self.events}

    def n(self, run: Row) -> int:
        """The number of a run's event."""
        return int(self.said.get(run["event_id"], {}).get("n", -1))

    @cached_property
    def by_key(self) -> dict[str, list[Row]]:
        """The requests that arrived, by their Idempotency-Key."""
        found: dict[str, list[Row]] = defaultdict(list)
        for request in self.requests:
            found[request["key"]].append(request)
        return found

    @cached_property
    def phone(self) -> list[Row]:
        """The messages that the outside has taken: {"key", "to", "text"}."""
        sent = [one for one in self.requests if one["action"] == "send"]
        return [json.loads(one["body"]) for one in sent if one["fate"] in ACCEPTED]

    @cached_property
    def clock_was_wrong(self) -> bool:
        return any(fault["fault"] == "step_clock" for fault in self.faults)

    def is_cut_short(self, run: Row, passage: int) -> bool:
        """Whether this pass ended before its time: cancelled, or still open."""
        if passage == run["passage"] and run["state"] not in ("done", "stopped", "failed"):
            return True
        ends = [line for line in self.lines_of[run["id"]] if line["passage"] == passage]
        return any(line["result"] == "cancelled" for line in ends)


def key_of(run: Row, passage: int, item: Item) -> str:
    """The Idempotency-Key of an action's requests in one pass."""
    return str(uuid5(UUID(item.uid), f"{run['id']}:{passage}:"))


def came_out(line: Row) -> Row:
    """What an action gave."""
    value: Row = json.loads(line["came_out"] or "{}")
    return value
