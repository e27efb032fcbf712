"""What a flow with delays must do, reckoned in plain Python from the specification: no database, no
queue, no leases. Times are aware datetimes.

Between two instants nothing happens. At an instant events are posted and, when a worker is there,
delays that are due wake and every due run goes on until it ends or waits.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Item:
    """One action. `kind`: mark, filter, delay, cancel or stop; the rest as the kind needs it."""

    label: str
    kind: str
    flag: str = ""  # filter: passes events with this flag
    counts_from: str = "last_step"  # delay …
    direction: str = "after"
    amount: int = 0
    unit: str = "minutes"
    if_past: str = "skip"
    identifier: str = ""  # delay and cancel; "{{ event.name }}" stands for the event's name
    then_stop: bool = False  # cancel


@dataclass(frozen=True)
class Event:
    flags: str
    name: str
    start: object  # as it is posted
    moment: datetime | None  # what `start` means; None: nothing


@dataclass(frozen=True)
class Instant:
    at: datetime
    events: tuple[Event, ...]
    has_worker: bool
    # Work under way was lost here: runs are tried again one by one, not together.
    one_by_one: bool


@dataclass
class Run:
    event: Event
    received_at: datetime
    position: int = 0
    state: str = "due"
    last_executed_at: datetime | None = None
    wake_at: datetime | None = None
    asleep_in: Item | None = None
    identifier: str = ""
    # (label, result, when)
    story: list[tuple[str, str, datetime]] = field(default_factory=list)


def shift(moment: datetime, amount: int, unit: str) -> datetime:
    if unit == "days":
        return (moment.astimezone(ZONE) + timedelta(days=amount)).astimezone(UTC)
    return moment.astimezone(UTC) + timedelta(**{unit: amount})  # elapsed time


class World:
    def __init__(self, steps: list[list[Item]]) -> None:
        self.items = [item for step in steps for item in step]
        ends = [sum(map(len, steps[: number + 1])) for number in range(len(steps))]
        self.next_step = [end for step, end in zip(steps, ends, strict=True) for _ in step]
        self.runs: list[Run] = []
        self.now = datetime.min.replace(tzinfo=UTC)

    def live_through(self, instants: list[Instant]) -> None:
        for instant in instants:
            self.now = instant.at
            self.runs += [Run(event, instant.at) for event in instant.events]
            if instant.has_worker:
                self.work(instant.one_by_one)

    def work(self, one_by_one: bool) -> None:
        for run in self.runs:
            if run.state == "waiting" and run.wake_at and run.wake_at <= self.now:
                run.state, run.last_executed_at = "due", self.now
        due = [run for run in self.runs if run.state == "due"]
        # What falls asleep together with a cancellation was not waiting yet when it came.
        asleep = [run for run in self.runs if run.state == "waiting"]
        for run in due:
            if one_by_one:
                asleep = [run for run in self.runs if run.state == "waiting"]
            self.go_on(run, asleep)

    def go_on(self, run: Run, asleep: list[Run]) -> None:
        while run.state == "due":
            if run.position == len(self.items):
                run.state = "done"
                return
            item = self.items[run.position]
            result, skips = self.perform(item, run, asleep)
            run.position = self.next_step[run.position] if skips else run.position + 1
            run.story.append((item.label, result, self.now))
            run.last_executed_at = self.now

    def perform(self, item: Item, run: Run, asleep: list[Run]) -> tuple[str, bool]:
        """The result, and whether the rest of the step is skipped."""
        if item.kind == "filter":
            passes = item.flag in run.event.flags
            return ("done", False) if passes else ("skipped", True)
        if item.kind == "delay":
            return self.delay(item, run)
        if item.kind == "cancel":
            self.cancel(self.identifier(item, run), asleep)
        if item.kind == "stop" or item.then_stop:
            run.state = "stopped"
            return "stopped", False
        return "done", False

    def delay(self, item: Item, run: Run) -> tuple[str, bool]:
        until = self.until(item, run)
        if until is None:
            return "failed", True
        if until > self.now:
            run.state, run.wake_at, run.asleep_in = "waiting", until, item
            run.identifier = self.identifier(item, run)
            return "waiting", False
        if item.counts_from == "custom" and item.if_past == "skip":
            return "skipped", True
        return "done", False

    def until(self, item: Item, run: Run) -> datetime | None:
        if item.counts_from == "last_step":
            return shift(run.last_executed_at or run.received_at, item.amount, item.unit)
        if item.counts_from == "event":
            return shift(run.received_at, item.amount, item.unit)
        sign = {"before": -1, "on": 0, "after": 1}[item.direction]
        moment = run.event.moment
        return None if moment is None else shift(moment, sign * item.amount, item.unit)

    def cancel(self, identifier: str, asleep: list[Run]) -> None:
        for other in asleep:
            if identifier and other.state == "waiting" and other.identifier == identifier:
                assert other.asleep_in
                other.state = "cancelled"
                other.story.append((other.asleep_in.label, "cancelled", self.now))

    def identifier(self, item: Item, run: Run) -> str:
        return item.identifier.replace("{{ event.name }}", run.event.name).strip()
