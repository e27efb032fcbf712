"""Events: what was acknowledged is there, once, and runs once."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.world.record import Record, Violation

ONCE = "quick"


def acknowledged_posts_are_events(record: Record) -> Iterator[Violation]:
    """A caller that was told an id finds it; one of a connector that takes each event once got
    such an answer in the end."""
    numbers = {event_id: said["n"] for event_id, said in record.said.items()}
    for post in record.posts:
        told = post["event_id"]
        if told is None and post["connector"] == ONCE:
            yield Violation("intake", f"Post {post['n']} was refused for ever: {post['status']}.")
        elif told is not None and numbers.get(told) != post["n"]:
            yield Violation("intake", f"Post {post['n']} was acknowledged as event {told}: lost.")


def nothing_is_taken_twice(record: Record) -> Iterator[Violation]:
    taken = Counter(said["n"] for said in record.said.values())
    for n, times in taken.items():
        if times > 1:
            yield Violation("intake", f"Post {n} is there {times} times.")


def every_event_runs_once(record: Record) -> Iterator[Violation]:
    """Routed runs apart: those have a run as their cause."""
    started = Counter(run["event_id"] for run in record.runs if run["cause"] == "event")
    for event in record.events:
        if started[event["id"]] != 1:
            says = f"Event {event['id']} started {started[event['id']]} runs."
            yield Violation("intake", says)


def every_routing_starts_one_run(record: Record) -> Iterator[Violation]:
    children: dict[int, set[int]] = defaultdict(set)
    for run in record.runs:
        if run["cause"] == "run":
            children[run["cause_id"]].add(run["id"])
    for run in record.runs:
        routes = [item for item in record.items(run) if item.kind == "route_to_connector"]
        done = sum(len(record.done(run, item)) for item in routes)
        if done != len(children[run["id"]]):
            says = f"Run {run['id']} routed {done} times and has {len(children[run['id']])} runs."
            yield Violation("routing", says)


RULES = [
    acknowledged_posts_are_events,
    nothing_is_taken_twice,
    every_event_runs_once,
    every_routing_starts_one_run,
]
