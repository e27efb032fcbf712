"""Messages: one for each sending that is done; on the phone once, or not at all and *unknown*."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.world.record import Record, Row, Violation
from tests.chaos.world.rules import excuses

ENDED = ("sent", "refused", "failed", "unknown", "cancelled")


def one_for_each_sending(record: Record) -> Iterator[Violation]:
    there = Counter(message["key"] for message in record.messages)
    for run in record.runs:
        phone = record.said.get(run["event_id"], {}).get("phone")
        for item in record.items(run):
            if item.kind == "send_message":
                for line in record.done(run, item):
                    key = f"run:{run['id']}:{line['passage']}:{item.uid}:{phone}"
                    if there.pop(key, 0) != 1:
                        says = f"Run {run['id']} did {item.label}, pass {line['passage']}: no row."
                        yield Violation("messages", says)
    for key in there:
        yield Violation("messages", f"Message {key} comes from nothing.")


def each_ended(record: Record) -> Iterator[Violation]:
    for message in record.messages:
        if message["state"] not in ENDED:
            yield Violation("ended", f"Message {message['id']} never ended: {message['state']}.")


def none_arrived_twice(record: Record) -> Iterator[Violation]:
    for key, times in Counter(message["key"] for message in record.phone).items():
        if times > 1:
            yield Violation("twice", f"Message {key} is on the phone {times} times.")


def states_are_true(record: Record) -> Iterator[Violation]:
    arrived = {message["key"]: message for message in record.phone}
    for message in record.messages:
        there = arrived.pop(message["key"], None)
        if message["state"] == "sent" and there is None:
            yield Violation("messages", f"Message {message['id']} was sent and did not arrive.")
        elif message["state"] not in ("sent", "unknown") and there is not None:
            says = f"Message {message['id']} is {message['state']} and arrived."
            yield Violation("messages", says)
        elif message["state"] in ("failed", "refused"):
            yield Violation("innocent", f"Message {message['id']} {message['state']}.")
        if there and (there["to"], there["text"]) != (message["address"], message["text"]):
            yield Violation("messages", f"Message {message['id']} arrived as another one.")
    for key in arrived:
        yield Violation("messages", f"{key} is on the phone, and nobody sent it.")


def unknown_is_unknown(record: Record) -> Iterator[Violation]:
    for message, cause in unknowns(record):
        if not cause:
            says = f"Message {message['id']} is unknown. Nothing made it so."
            yield Violation("unknown", says)


def unknowns(record: Record) -> Iterator[tuple[Row, str]]:
    """Every message whose outcome is unknown, and why it may be."""
    for message in record.messages:
        if message["state"] == "unknown":
            requests = record.by_key[message["key"]]
            causes = [excuses.of_request(record, request) for request in requests]
            cause = next(filter(None, causes), "")
            yield message, cause if requests else excuses.of_silence(record, message)


RULES = [
    one_for_each_sending,
    each_ended,
    none_arrived_twice,
    states_are_true,
    unknown_is_unknown,
]
