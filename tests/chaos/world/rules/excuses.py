"""Why nobody may know what became of something: what the outside did, or what was done to us."""

from tests.chaos.world.record import Record, Row

# Who made the request is gone, or was stopped for longer than anybody waits.
LOSES_ANSWERS = ("kill_worker", "kill_workers", "freeze")
# A workers' end that was asked for may take so long; whoever takes longer is killed.
STOP_SECONDS = 10.0
# Of requests: an answer that has arrived waits for the next turn, which may wait for the database.
UNTIL_COMMITTED = 30.0
# Requests wait so long for an answer, at most.
LONGEST_CALL = 75.0
# Whoever loses its parent is killed by the kernel; seconds until it is dead, on a busy machine.
DYING = 1.0


def of_request(record: Record, request: Row) -> str:
    """Why the answer to a request that arrived may be unknown; empty when it may not."""
    if request["fate"] == "drop":
        return "the server closed the connection"
    return loss_between(record, request["at"], request["until"] + UNTIL_COMMITTED)


def of_silence(record: Record, row: Row) -> str:
    """The same for one that never arrived, by the row that tells of it."""
    if record.clock_was_wrong:
        return loss_between(record, 0, float("inf"))
    return loss_between(record, row["at"] - LONGEST_CALL, row["at"] + LONGEST_CALL)


def loss_between(record: Record, since: float, until: float) -> str:
    """The first fault of this time that loses answers."""
    for fault in record.faults:
        if loses_answers(fault) and fault["at"] <= until and fault["until"] + DYING >= since:
            return str(fault["fault"])
    return ""


def loses_answers(fault: Row) -> bool:
    if fault["fault"] == "stop_workers":
        return bool(fault["took"] > STOP_SECONDS)
    return fault["fault"] in LOSES_ANSWERS and fault.get("side") != "web"
