"""A small world that never was, in which all is well: for tests that let one thing go wrong."""

import json
from typing import Any

from tests.chaos.world.model import judge
from tests.chaos.world.record import Record, Row, key_of

PHONE = "+4915123450000"
KINDS = {
    "before": "add_note",
    "until": "delay",
    "put": "http_api",
    "pay": "http_api",
    "count": "trigger_counter",
    "tag": "add_tag",
    "send": "send_message",
    "route": "route_to_connector",
}
METHODS = {"put": "PUT", "pay": "POST"}


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def connector(pk: int, labels: list[str], in_order: bool = False) -> Row:
    items = [
        {"uid": uid(pk * 100 + place), "label": label, "kind": KINDS[label]}
        for place, label in enumerate(labels)
    ]
    return {"id": pk, "token": "", "mapping": True, "in_order": in_order, "items": items}


def peaceful() -> Record:
    """One run that does all there is and routes to another one, and two that keep order."""
    plan = {
        "sleepy": connector(1, list(KINDS)),
        "child": connector(2, ["before"]),
        "orders": connector(3, ["before", "put"], in_order=True),
        "quick": connector(4, ["before"]),
    }
    record = Record(plan, contacts=[{"id": 9, "phone": PHONE, "merged_into_id": None}])
    _post(record, 1, "sleepy")
    run = add_run(record, "sleepy", event=1, cause="event")
    live(record, run)
    live(record, add_run(record, "child", event=1, cause="run", cause_id=run["id"]))
    for n in (2, 3):
        _post(record, n, "orders")
        live(record, add_run(record, "orders", event=n, cause="event"))
    _post(record, 4, "quick")
    live(record, add_run(record, "quick", event=4, cause="event"))
    return record


def _post(record: Record, n: int, name: str) -> None:
    said = {"n": n, "phone": PHONE, "wakes": 5.0}
    at = float(n * 10)
    post = {"n": n, "connector": name, "at": at, "until": at + 1, "event_id": n, "status": 202}
    record.posts.append(post)
    connector = record.plan[name]["id"]
    record.events.append({"id": n, "connector_id": connector, "body": json.dumps(said)})


def add_run(record: Record, name: str, event: int, **columns: Any) -> Row:
    run = {
        "id": len(record.runs) + 1,
        "event_id": event,
        "connector_id": record.plan[name]["id"],
        "state": "done",
        "passage": 1,
        "error": "",
        "cause_id": event,
        **columns,
    }
    record.runs.append(run)
    return run


def add_line(record: Record, run: Row, **columns: Any) -> Row:
    line = {
        "id": len(record.lines) + 1,
        "run_id": run["id"],
        "passage": run["passage"],
        "action_uid": None,
        "result": "done",
        "note": "",
        "contact_id": 9,
        "came_out": "{}",
        "at": 20.0,
        **columns,
    }
    record.lines.append(line)
    return line


def add_request(record: Record, run: Row, item: Any, **columns: Any) -> Row:
    number = len(record.requests) + 1
    request = {
        "at": 10.0 * number,
        "until": 10.0 * number + 1,
        "method": METHODS[item.label],
        "action": item.label,
        "n": record.n(run),
        "key": key_of(run, run["passage"], item),
        "fate": "ok",
        "status": 200,
        "nonce": f"nonce {number}",
        "written": True,
        **columns,
    }
    record.requests.append(request)
    return request


def add_sending(record: Record, key: str, text: str, **columns: Any) -> Row:
    body = json.dumps({"key": key, "to": PHONE, "text": text})
    number = len(record.requests) + 1
    request = {"at": 10.0 * number, "until": 10.0 * number + 1, "action": "send", "key": key}
    request |= {"n": 1, "fate": "ok", "status": 200, "nonce": f"nonce {number}", "body": body}
    record.requests.append({**request, **columns})
    return record.requests[-1]


def live(record: Record, run: Row) -> None:
    """Let a run do all that its connector says, with everything that comes of it."""
    forget(record)
    for item in record.items(run):
        line = add_line(record, run, kind=item.kind, label=item.label, action_uid=item.uid or None)
        text = f"{item.label} {record.n(run)}"
        if item.kind == "add_note":
            note = {"text": text, "contact_id": 9, "cause": "run", "cause_id": run["id"]}
            record.notes.append({"id": len(record.notes) + 1, **note})
        elif item.kind == "delay":
            line["result"] = "waiting"
        elif item.kind == "http_api":
            nonce = add_request(record, run, item)["nonce"]
            line["came_out"] = json.dumps({"status": 200, "nonce": nonce})
        elif item.kind == "trigger_counter":
            line["came_out"] = '{"value": 1}'
            record.counters.append({"name": "Total", "value": 1})
        elif item.kind == "add_tag":
            record.tags += [{"contact_id": 9, "name": name} for name in (item.label, text)]
        elif item.kind == "send_message":
            key = f"run:{run['id']}:1:{item.uid}:{PHONE}"
            message = {"id": 1, "key": key, "address": PHONE, "text": text}
            record.messages.append({**message, "state": "sent", "at": 15.0})
            add_sending(record, key, text)
    forget(record)


def forget(record: Record) -> Record:
    """What was looked up, now that something else is in there."""
    for name in ("names", "lines_of", "said", "by_key", "clock_was_wrong", "phone"):
        record.__dict__.pop(name, None)
    return record


def rules(record: Record) -> list[str]:
    """Which rules are broken."""
    return sorted({violation.rule for violation in judge(forget(record))})


def line(record: Record, label: str, run: int = 1) -> Row:
    return next(one for one in record.lines if (one["label"], one["run_id"]) == (label, run))
