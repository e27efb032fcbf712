"""Delays are not early; workers that are asked to stop do so."""

from collections.abc import Iterator

from tests.chaos.world.record import Record, Violation, key_of
from tests.chaos.world.rules.excuses import STOP_SECONDS

# The request that follows the delay until the moment that the event names.
SLEEPER, NEXT = "sleepy", "put"


def delays_are_not_early(record: Record) -> Iterator[Violation]:
    """By the one clock that was right, and by what arrived outside."""
    for run in record.runs:
        if record.names[run["connector_id"]] != SLEEPER:
            continue
        wakes = record.said.get(run["event_id"], {}).get("wakes", 0.0)
        for item in record.items(run):
            if item.label != NEXT:
                continue
            for request in record.by_key[key_of(run, 1, item)]:
                if request["at"] < wakes - 0.01:
                    early = wakes - request["at"]
                    yield Violation("early", f"Run {run['id']} woke {early:.1f} s early.")


def stopping_is_quick(record: Record) -> Iterator[Violation]:
    for fault in record.faults:
        if fault["fault"] == "stop_workers" and fault["took"] > STOP_SECONDS:
            yield Violation("stop", f"The workers took {fault['took']:.1f} s to stop.")


RULES = [delays_are_not_early, stopping_is_quick]
