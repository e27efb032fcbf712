"""In our database: what is recorded as done is there, once, about the right person."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.world.record import Record, Violation, came_out

COUNTER = "Total"
NOTE = re.compile(r"([\w-]+) (\d+)")


def notes(record: Record) -> Iterator[Violation]:
    """One for each time that an action which writes one is done; it tells of the run's event."""
    written: Counter[tuple[int, str, int]] = Counter()
    for note in record.notes:
        found = NOTE.match(note["text"])
        label, n = (found[1], int(found[2])) if found else (note["text"], -1)
        written[note["cause_id"], label, n] += 1
    for run in record.runs:
        for item in record.items(run):
            if item.kind == "add_note":
                key = (run["id"], item.label, record.n(run))
                done, there = len(record.done(run, item)), written.pop(key, 0)
                if done != there:
                    says = f"Run {run['id']} did {item.label} {done} times: {there} notes."
                    yield Violation("effects", says)
    for (run_id, label, n), times in written.items():
        says = f"{times} notes of run {run_id} ({label} {n}) come from nothing."
        yield Violation("effects", says)


def notes_are_about_the_right_person(record: Record) -> Iterator[Violation]:
    """Or about somebody whom that person was merged with at some time."""
    families, events = Families(record), {run["id"]: run["event_id"] for run in record.runs}
    for note in record.notes:
        said = record.said.get(events.get(note["cause_id"], 0), {})
        if not families.same(note["contact_id"], said.get("phone")):
            says = f"Note {note['id']} of run {note['cause_id']} is about somebody else."
            yield Violation("effects", says)


def counter(record: Record) -> Iterator[Violation]:
    """Each count gave a value of its own, and the last one is what the counter says."""
    given = [
        came_out(line).get("value")
        for line in record.lines
        if line["kind"] == "trigger_counter" and line["result"] == "done"
    ]
    if sorted(given, key=str) != sorted(range(1, len(given) + 1), key=str):
        twice = [value for value, times in Counter(given).items() if times > 1]
        yield Violation("effects", f"{len(given)} counts gave other values; twice: {twice[:9]}")
    value = sum(row["value"] for row in record.counters if row["name"] == COUNTER)
    if value != len(given):
        yield Violation("effects", f"The counter is {value} after {len(given)} counts.")


def tags(record: Record) -> Iterator[Violation]:
    """Whom a tag was put on has it, or whoever that contact was merged with."""
    families = Families(record)
    has: dict[str, set[int]] = defaultdict(set)
    for link in record.tags:
        has[link["name"]].add(families.root(link["contact_id"]))
    for run in record.runs:
        for item in record.items(run):
            if item.kind != "add_tag":
                continue
            for line in record.done(run, item):
                name, who = f"{item.label} {record.n(run)}", families.root(line["contact_id"])
                if who not in has[name] or who not in has[item.label]:
                    says = f"Contact {line['contact_id']} lacks {name} of run {run['id']}."
                    yield Violation("effects", says)


class Families:
    """Contacts that were one person at some time."""

    def __init__(self, record: Record) -> None:
        self._parent = {contact["id"]: contact["id"] for contact in record.contacts}
        self._by_phone: dict[str, int] = {}
        for contact in record.contacts:
            if contact["phone"]:
                self._by_phone[contact["phone"]] = contact["id"]
        for merged in record.merges:
            self._parent[self.root(merged["loser_id"])] = self.root(merged["survivor_id"])

    def root(self, contact: int) -> int:
        while self._parent.get(contact, contact) != contact:
            contact = self._parent[contact]
        return contact

    def of(self, phone: str | None) -> int | None:
        found = self._by_phone.get(phone or "")
        return None if found is None else self.root(found)

    def same(self, contact: int, phone: str | None) -> bool:
        return self.root(contact) == self.of(phone)


RULES = [notes, notes_are_about_the_right_person, counter, tags]
