"""The model itself: it finds nothing where all is well, and each fault for what it is."""

import json

import pytest

from tests.chaos.world.made_up import (
    add_line,
    add_request,
    add_run,
    add_sending,
    forget,
    line,
    peaceful,
    rules,
)
from tests.chaos.world.model import figures, judge, unknowns
from tests.chaos.world.record import Record

pytestmark = pytest.mark.once


@pytest.fixture
def record() -> Record:
    return peaceful()


def item(record, label, run=0):
    return next(one for one in record.items(record.runs[run]) if one.label == label)


def lose_answer(record, label):
    """The line says that nobody knows; the request arrived."""
    told = line(record, label)
    told |= {"result": "failed", "note": "Outcome unknown: lost.", "came_out": "{}"}
    nobody_knows = next(one for one in record.requests if one["action"] == label)
    return told, nobody_knows


def fault(name, at, until=None, **more):
    return {"fault": name, "at": at, "until": at if until is None else until, **more}


def test_all_is_well(record):
    assert judge(record) == []
    assert not unknowns(record)
    assert figures(record)["runs"] == 5


# --- intake ---------------------------------------------------------------------------------------


def test_an_acknowledged_post_was_lost(record):
    record.posts.append(
        {**record.posts[0], "n": 77, "event_id": 77, "connector": "shop", "at": 90, "until": 91}
    )
    assert rules(record) == ["intake"]


def test_a_post_was_refused_for_ever(record):
    record.posts[-1] |= {"event_id": None, "status": 503}
    assert rules(record) == ["intake"]


def test_a_post_is_there_twice(record):
    record.events.append({**record.events[3], "id": 5})
    again = add_run(record, "quick", event=5, cause="event", state="cancelled")
    add_line(record, again, kind="cancel", label="Run cancelled", result="cancelled")
    assert rules(record) == ["intake"]


def test_an_event_without_a_run(record):
    record.events.append({**record.events[0], "id": 6, "body": '{"n": 6}'})
    assert rules(record) == ["intake"]


def test_a_routing_without_a_run(record):
    record.runs[1]["cause"] = "elsewhere"
    assert rules(record) == ["routing"]


# --- stories --------------------------------------------------------------------------------------


def test_a_run_that_never_ended(record):
    record.runs[0]["state"] = "leased"
    assert rules(record) == ["ended"]


def test_an_innocent_run_failed(record):
    record.runs[0] |= {"state": "failed", "error": "The run could not be saved: disk full"}
    assert rules(record) == ["innocent"]


def test_poison_needs_kills(record):
    record.runs[0] |= {"state": "failed", "error": "Poison: the run interrupted its worker."}
    assert rules(record) == ["innocent"]
    record.faults = [fault("kill_workers", at) for at in range(6)]
    assert rules(record) == []


def test_an_innocent_action_failed(record):
    line(record, "before", run=5)["result"] = "failed"
    record.notes.pop()
    assert rules(record) == ["innocent"]


def test_a_pass_that_nobody_asked_for(record):
    record.runs[0]["passage"] = 2
    add_line(record, record.runs[0], kind="again", label="Run again", note='Run again from "send"')
    assert "passes" in rules(record)


def test_an_operator_ran_it_again(record):
    record.runs[0] |= {"passage": 2, "state": "cancelled"}
    add_line(record, record.runs[0], kind="again", label="Run again", note='Run again from "send"')
    add_line(record, record.runs[0], kind="cancel", label="Run cancelled", result="cancelled")
    record.moves = [{"move": "again", "sure": True, "said": True, "ids": [1]}]
    assert rules(record) == []
    record.moves = [{"move": "again", "sure": False, "said": "lost", "ids": []}]
    assert rules(record) == []


def test_a_cancelled_run_went_on(record):
    run = record.runs[4]
    run["state"] = "cancelled"
    cancel = add_line(record, run, kind="cancel", label="Run cancelled", result="cancelled")
    cancel["id"] = line(record, "before", run=5)["id"] - 0.5
    assert rules(record) == ["cancelled"]


def test_a_run_was_cancelled_by_nobody(record):
    record.runs[4]["state"] = "cancelled"
    assert rules(record) == ["cancelled"]


@pytest.mark.parametrize("label", ["Field mapping", "until", "send"])
def test_a_done_run_lacks_something(record, label):
    record.lines.remove(line(record, label))
    assert "story" in rules(record)


def test_an_action_is_told_twice(record):
    record.lines.append({**line(record, "until"), "id": line(record, "until")["id"] + 0.5})
    assert rules(record) == ["story"]


# --- effects --------------------------------------------------------------------------------------


def test_a_note_is_there_twice(record):
    record.notes.append({**record.notes[0], "id": 99})
    assert rules(record) == ["effects"]


def test_a_note_is_missing(record):
    record.notes.pop(0)
    assert rules(record) == ["effects"]


def test_a_note_is_about_somebody_else(record):
    record.contacts.append({"id": 10, "phone": "+4915123450001", "merged_into_id": None})
    record.notes[0]["contact_id"] = 10
    assert rules(record) == ["effects"]
    record.merges = [{"survivor_id": 10, "loser_id": 9}]
    assert rules(record) == []


@pytest.mark.parametrize("value", [0, 2])
def test_a_counter_counted_otherwise(record, value):
    record.counters[0]["value"] = value
    assert rules(record) == ["effects"]


def test_a_count_gave_a_value_that_was_given(record):
    run = record.runs[0]
    add_line(record, run, kind="trigger_counter", label="count", came_out='{"value": 1}')
    record.counters[0]["value"] = 2
    assert "effects" in rules(record)


def test_a_tag_is_missing(record):
    record.tags.pop()
    assert rules(record) == ["effects"]


# --- calls ----------------------------------------------------------------------------------------


def test_an_action_has_the_answer_of_another_one(record):
    other = json.loads(line(record, "put")["came_out"])
    line(record, "pay")["came_out"] = json.dumps(other)
    assert rules(record) == ["answers"]


def test_a_status_that_nobody_said(record):
    told = line(record, "pay")
    told["came_out"] = json.dumps({**json.loads(told["came_out"]), "status": 201})
    assert rules(record) == ["answers"]


def test_done_without_an_answer(record):
    line(record, "pay")["came_out"] = "{}"
    record.requests = [one for one in record.requests if one["action"] != "pay"]
    assert rules(record) == ["answers"]


def test_a_request_of_nobody(record):
    add_request(record, record.runs[0], item(record, "pay"), key="made up")
    assert rules(record) == ["requests"]


def test_what_must_not_be_repeated_was(record):
    record.faults = [fault("kill_worker", 45)]
    add_request(record, record.runs[0], item(record, "pay"))
    assert rules(record) == ["requests"]


def test_what_may_be_repeated_was_when_its_answer_was_lost(record):
    again = add_request(record, record.runs[0], item(record, "put"), nonce="in vain")
    assert rules(record) == ["requests"]
    record.faults = [fault("kill_worker", again["at"] + 2)]
    assert rules(record) == []
    record.faults = [fault("cut_all", again["at"] + 2)]
    assert rules(record) == ["requests"]
    again["fate"] = "drop"
    assert rules(record) == []


def test_the_last_request_of_a_cancelled_run_needs_no_line(record):
    run = record.runs[2]
    run["state"] = "cancelled"
    record.lines.remove(line(record, "put", run=3))
    add_line(record, run, kind="cancel", label="Run cancelled", result="cancelled")
    assert rules(record) == []


@pytest.mark.parametrize("label", ["pay", "put"])
def test_unknown_needs_a_cause(record, label):
    _, request = lose_answer(record, label)
    assert rules(record) == ["unknown"]
    record.faults = [fault("terminate_backend", request["at"])]
    assert rules(record) == ["unknown"]
    record.faults = [fault("kill_workers", request["at"] - 5)]
    assert rules(record) == ["unknown"]
    record.faults = [fault("freeze", request["at"] - 5, request["at"] + 5)]
    assert rules(record) == []
    assert unknowns(forget(record)) == {"call: freeze": 1}
    record.faults = []
    request["fate"] = "drop"
    assert rules(record) == []


def test_unknown_of_a_request_that_never_arrived(record):
    told, request = lose_answer(record, "pay")
    record.requests.remove(request)
    assert rules(record) == ["unknown"]
    record.faults = [fault("kill_worker", told["at"] - 10)]
    assert rules(record) == []


def test_a_failure_hides_an_answer(record):
    told = line(record, "put")
    told |= {"result": "failed", "note": "Nobody answered.", "came_out": "{}"}
    assert "answers" in rules(record)
    next(one for one in record.requests if one["action"] == "put")["fate"] = "drop"
    assert rules(record) == []


def test_a_call_is_tried_again_too_often(record):
    run, put = record.runs[0], item(record, "put")
    done = line(record, "put")
    for number in range(4):
        nonce = add_request(record, run, put, status=500, fate="error")["nonce"]
        said = json.dumps({"status": 500, "nonce": nonce})
        told = {"id": done["id"] - 0.5 + number / 10, "result": "retrying", "came_out": said}
        record.lines.append({**done, **told})
    assert rules(record) == ["retries"]
    record.lines.pop()
    record.requests.pop()
    assert rules(record) == []


# --- messages -------------------------------------------------------------------------------------


def sending(record):
    return next(one for one in record.requests if one["action"] == "send")


def test_a_sending_without_a_message(record):
    record.messages.clear()
    record.requests.remove(sending(record))
    assert rules(record) == ["messages"]


def test_a_message_that_comes_from_nothing(record):
    record.messages.append({**record.messages[0], "id": 2, "key": "made up", "state": "unknown"})
    record.faults = [fault("kill_worker", 50)]
    assert rules(record) == ["messages"]


@pytest.mark.parametrize("fate", ["ok", "drop"])
def test_a_message_arrived_twice(record, fate):
    record.requests.append({**sending(record), "fate": fate})
    assert rules(record) == ["twice"]


def test_a_message_that_was_not_taken_is_sent_again(record):
    record.requests.append({**sending(record), "fate": "busy", "status": 429})
    assert rules(record) == []


def test_a_sent_message_did_not_arrive(record):
    sending(record)["fate"] = "error"
    assert rules(record) == ["messages"]


def test_a_message_arrived_as_another_one(record):
    record.messages[0]["text"] = "another"
    assert rules(record) == ["messages"]


def test_a_message_that_nobody_sent(record):
    add_sending(record, "made up", "send 1")
    assert rules(record) == ["messages"]


@pytest.mark.parametrize(("state", "broken"), [("queued", "ended"), ("failed", "messages")])
def test_a_message_in_a_state_that_is_not_true(record, state, broken):
    record.messages[0]["state"] = state
    assert broken in rules(record)


def test_an_unknown_message_needs_a_cause(record):
    record.messages[0]["state"] = "unknown"
    at = sending(record)["at"]
    assert rules(record) == ["unknown"]
    record.faults = [fault("kill_worker", at - 3), fault("crash_cluster", at)]
    assert rules(record) == ["unknown"]
    record.faults = [fault("freeze", at, side="web")]
    assert rules(record) == ["unknown"]
    record.faults = [fault("kill_worker", at + 1)]
    assert rules(record) == []
    record.faults = []
    sending(record)["fate"] = "drop"
    assert rules(record) == []


# --- times and order ------------------------------------------------------------------------------


def test_a_delay_ended_early(record):
    next(one for one in record.requests if one["action"] == "put")["at"] = 4.0
    assert rules(record) == ["early"]


def test_workers_did_not_stop(record):
    record.faults = [fault("stop_workers", 1, 13, took=12.0)]
    assert rules(record) == ["stop"]
