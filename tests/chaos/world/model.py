"""The judge: pure functions over what was logged and what the tables say."""

from collections import Counter

from tests.chaos.world.record import Record, Violation
from tests.chaos.world.rules import calls, effects, intake, messages, order, stories, times

ROOMS = (intake, stories, effects, calls, messages, times, order)


def judge(record: Record) -> list[Violation]:
    """Every promise that was not kept."""
    return [violation for room in ROOMS for rule in room.RULES for violation in rule(record)]


def unknowns(record: Record) -> Counter[str]:
    """How many calls and messages ended as *unknown*, by what made it so."""
    found: Counter[str] = Counter()
    found.update(f"call: {cause or '?'}" for *_, cause in calls.unknowns(record))
    found.update(f"message: {cause or '?'}" for _, cause in messages.unknowns(record))
    return found


def figures(record: Record) -> dict[str, int]:
    """How much there was to judge."""
    return {
        "posts": len(record.posts),
        "runs": len(record.runs),
        "timeline lines": len(record.lines),
        "requests": len(record.requests),
        "messages": len(record.messages),
        "moves": len(record.moves),
        "faults": len(record.faults),
    }
