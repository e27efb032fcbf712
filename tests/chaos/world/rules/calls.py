"""Outside calls: each was made as often as the rules allow, and every line about one is true."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.world.record import Item, Record, Row, Violation, came_out, key_of
from tests.chaos.world.rules import excuses

UNKNOWN = "Outcome unknown"
ONCE_ONLY = ("POST", "PATCH")


def asked(record: Record) -> Iterator[tuple[Row, int, Item, list[Row], list[Row]]]:
    """Run, pass, action, its lines and the requests of its key."""
    for run in record.runs:
        for item in record.items(run):
            if item.kind == "http_api":
                for passage in range(1, run["passage"] + 1):
                    tries = record.tries(run, passage, item)
                    lines = [line for line in tries if line["result"] != "waiting"]
                    yield run, passage, item, lines, record.by_key[key_of(run, passage, item)]


def _where(run: Row, passage: int, item: Item) -> str:
    return f"{item.label} of run {run['id']}, pass {passage}"


def answers_are_their_own(record: Record) -> Iterator[Violation]:
    """What a line says came back is what the server gave for a request of this very action."""
    for run, passage, item, lines, requests in asked(record):
        given = {request["nonce"]: request for request in requests}
        statuses = {request["status"] for request in requests}
        for line in lines:
            nonce, status = came_out(line).get("nonce"), came_out(line).get("status")
            if status is None:
                continue
            if nonce not in given:
                says = f"{_where(run, passage, item)} tells an answer that was not its own."
                yield Violation("answers", says)
            elif status not in statuses or given[nonce]["status"] != status:
                says = f"{_where(run, passage, item)} tells {status}, which nobody said."
                yield Violation("answers", says)


def done_was_answered(record: Record) -> Iterator[Violation]:
    for run, passage, item, lines, _ in asked(record):
        for line in lines:
            if line["result"] == "done" and came_out(line).get("status") != 200:
                yield Violation("answers", f"{_where(run, passage, item)} is done unanswered.")


def no_request_is_of_nobody(record: Record) -> Iterator[Violation]:
    """Each has the key of an action of the run that it says it is of."""
    known = {
        key_of(run, passage, item): (record.n(run), item.label)
        for run, passage, item, _, _ in asked(record)
    }
    for request in record.requests:
        if request["action"] == "send":
            continue
        if known.get(request["key"]) != (request["n"], request["action"]):
            says = f"{request['action']} {request['n']} arrived with a key of nobody's."
            yield Violation("requests", says)


def requests_are_told_of(record: Record) -> Iterator[Violation]:
    """What must not be repeated arrived once for each line. What may be repeated: as often as its
    answers got lost besides. The last request of a run that was cut short needs no line."""
    for run, passage, item, lines, requests in asked(record):
        told = [line for line in lines if _says_that_it_left(line)]
        spare = 1 if record.is_cut_short(run, passage) else 0
        surplus = len(requests) - len(told) - spare
        if surplus <= 0:
            continue
        where = f"{_where(run, passage, item)} ({requests[0]['method']})"
        if requests[0]["method"] in ONCE_ONLY:
            says = f"{where} arrived {len(requests)} times and tells of {len(told)}."
            yield Violation("requests", says)
            continue
        told_of = {came_out(line).get("nonce") for line in told}
        silent = [request for request in requests if request["nonce"] not in told_of]
        vain = [request for request in silent if not excuses.of_request(record, request)]
        if len(vain) > spare:
            at = ", ".join(f"{request['at']:.1f}" for request in vain)
            says = f"{where} was answered in vain and asked again, at {at}."
            yield Violation("requests", says)


def _says_that_it_left(line: Row) -> bool:
    return came_out(line).get("status") is not None or UNKNOWN in line["note"]


def unknown_is_unknown(record: Record) -> Iterator[Violation]:
    for run, passage, item, line, cause in unknowns(record):
        if not cause:
            says = f"{_where(run, passage, item)}: {line['note']} Nothing made it so."
            yield Violation("unknown", says)


def unknowns(record: Record) -> Iterator[tuple[Row, int, Item, Row, str]]:
    """Every line that says so, and why it may."""
    for run, passage, item, lines, requests in asked(record):
        told = {came_out(line).get("nonce") for line in lines}
        silent = [request for request in requests if request["nonce"] not in told]
        for line in lines:
            if UNKNOWN not in line["note"]:
                continue
            causes = [excuses.of_request(record, request) for request in silent]
            cause = next(filter(None, causes), "") if silent else excuses.of_silence(record, line)
            yield run, passage, item, line, cause


def failures_are_true(record: Record) -> Iterator[Violation]:
    """A line that says that nothing came back, of an action that may be repeated, had no answer
    that anybody could have kept."""
    for run, passage, item, lines, requests in asked(record):
        for line in lines:
            if came_out(line).get("status") is not None or UNKNOWN in line["note"]:
                continue
            answered = [r for r in requests if not excuses.of_request(record, r)]
            told = {came_out(other).get("nonce") for other in lines}
            if any(request["nonce"] not in told for request in answered):
                says = f"{_where(run, passage, item)}: {line['note']} But it was answered."
                yield Violation("answers", says)


def retries_end(record: Record) -> Iterator[Violation]:
    """A failure is tried again three times at most in one pass."""
    for run, passage, item, lines, _ in asked(record):
        tried = Counter(line["result"] for line in lines)
        if tried["retrying"] > 3:
            says = f"{_where(run, passage, item)} was tried again {tried['retrying']} times."
            yield Violation("retries", says)


RULES = [
    answers_are_their_own,
    done_was_answered,
    no_request_is_of_nobody,
    requests_are_told_of,
    unknown_is_unknown,
    failures_are_true,
    retries_end,
]
