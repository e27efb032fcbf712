"""Messages: one for each sending that is done; on the phone once, or not at all and *unknown*."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.world.record import Record, Row, Violation
from tests.chaos.world.rules import excuses

ENDED = ("sent", "refused", "failed", "unknown", "cancelled")
# The sandbox phone stands in the same database: what cuts us off from that cuts us off from it.
CUTS_THE_SANDBOX_OFF = (
    "terminate_backend",
    "cut_some",
    "cut_all",
    "lose_commit",
    "lose_write",
    "lock_table",
    "kill_backend",
    "crash_cluster",
    "fill_disk",
)


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


def none_is_on_the_phone_twice(record: Record) -> Iterator[Violation]:
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
        if there and (there["address"], there["text"]) != (message["address"], message["text"]):
            yield Violation("messages", f"Message {message['id']} arrived as another one.")
    for key in arrived:
        yield Violation("messages", f"{key} is on the phone, and nobody sent it.")


def unknown_is_unknown(record: Record) -> Iterator[Violation]:
    for message, cause in unknowns(record):
        if not cause:
            says = f"Message {message['id']} is unknown. Nothing made it so."
            yield Violation("unknown", says)


def unknowns(record: Record) -> Iterator[tuple[Row, str]]:
    for message in record.messages:
        if message["state"] == "unknown":
            since = 0.0 if record.clock_was_wrong else message["at"] - 1
            cut = (f["fault"] for f in record.faults if _cuts_off(f) and f["until"] >= since)
            cause = excuses.loss_between(record, since, float("inf")) or next(cut, "")
            yield message, cause


def _cuts_off(fault: Row) -> bool:
    return fault["fault"] in CUTS_THE_SANDBOX_OFF


RULES = [
    one_for_each_sending,
    each_ended,
    none_is_on_the_phone_twice,
    states_are_true,
    unknown_is_unknown,
]
