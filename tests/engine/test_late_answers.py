"""Workers that were stopped for a while, and answers that wait until they can be written down."""

import socket
import time
from dataclasses import replace
from threading import Event

import pytest
from django.db import DataError, OperationalError, connection

from apps.actions.kinds.add_note import AddNote
from apps.actions.kinds.http_api import HttpApi
from apps.core.http.outgoing import outgoing
from apps.crm.models import Note
from apps.engine import calls, dialling, group, mending, rounds, turn
from apps.engine.models import Attempt, Call, Run
from tests.engine.asking import ANA, ask, told, wait_for_an_answer
from tests.factories import published

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outside")]


def test_a_request_whose_worker_was_stopped_does_not_leave(server, post, drain, monkeypatch):
    post(published([ask(server, "Pay")]), {"n": 1})
    monkeypatch.setattr(group, "uptime", lambda: 0.0)  # began when the machine did
    turn.take_turn()
    monkeypatch.undo()
    outgoing().wait(5)
    assert server.asked == []
    turn.take_turn(runs=False, suspects=False)
    run = Run.objects.get()
    assert (run.state, run.call, run.attempts) == ("due", None, 0)
    assert Call.objects.get().state == "failed"


def test_an_answer_that_took_an_hour_is_written_down(server, post, drain):
    """The process was stopped for so long, with the call under way."""
    post(published([ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    wait_for_an_answer()
    exchange = calls.exchange()
    (flight,) = exchange.answers()
    flight.answer = replace(flight.answer, took_us=3_600_000_000)
    flight.begun -= 3_600_000_000_000
    drain()
    assert Run.objects.get().state == "done"
    assert Call.objects.get().took_us == Attempt.objects.get().duration_us == calls.MOST_US


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_can_not_be_kept_ends_its_run_alone(server, post, drain, monkeypatch):
    post(published([ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    wait_for_an_answer()
    post(
        published([(AddNote, {"text": "x"})], mapping={"phone": "{{ event.phone }}"}),
        {"phone": ANA},
    )

    def refused(flights):
        if flights:
            raise DataError("a value that no column takes")

    monkeypatch.setattr(dialling, "write_outcomes", refused)
    monkeypatch.setattr(dialling, "write_late_outcomes", refused)
    rounds.round_of_lanes({"runs"})
    assert sorted(Run.objects.values_list("state", flat=True)) == ["done", "failed"]
    assert calls.exchange().in_flight == 0


def test_a_call_that_has_not_left_at_the_end_of_its_drain_is_not_unknown(post, drain):
    """The server takes connections and never says a word: there is no secure connection to ask
    anything by."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        post(published([(HttpApi, {"label": "Pay", "method": "POST", "url": url})]), {"n": 1})
        turn.take_turn()
        outgoing().wait(0.2)
        assert outgoing().in_flight == 1
        calls.exchange().closing = True
        assert rounds.let_go() == 0
    run = Run.objects.get()
    assert (run.state, run.call, run.attempts) == ("due", None, 0)
    assert Call.objects.get().state == "failed"
    assert told("Pay") == []


def test_at_its_end_a_drain_writes_what_was_answered_and_gives_up_the_rest(server, post, drain):
    """And what it held, others may take on at once."""
    never = Event()
    server.answer = lambda asked: (
        never.wait(20) and None if b"late" in asked.body else (200, {}, b"")
    )
    body = {"body_type": "raw", "body": "{{ event.n }}"}
    connector = published([ask(server, "Pay", **body)])
    for n in ("quick", "late"):
        post(connector, {"n": n})
    turn.take_turn()
    wait_for_an_answer()
    post(connector, {"n": "new"})
    assert rounds.let_go() == 1
    never.set()
    assert calls.exchange().in_flight == 0
    assert list(Run.objects.order_by("pk").values_list("state", flat=True)) == [
        "done",
        "due",
        "due",
    ]
    assert list(Call.objects.order_by("at").values_list("state", flat=True)) == [
        "answered",
        "sending",
    ]


def test_a_turn_that_was_stopped_in_the_middle_is_not_committed(post, monkeypatch):
    post(published([(AddNote, {"text": "x"})], mapping={"phone": ANA}), {"n": 1})
    monkeypatch.setattr(mending, "sleep", lambda seconds: None)
    times = iter([0.0, 31.0])
    monkeypatch.setattr(group, "uptime", lambda: next(times, 100.0))
    turn.take_turn()
    assert Run.objects.get().state == "done"
    assert Note.objects.count() == 1
    assert next(times, None) is None


def test_an_answer_waits_until_it_is_written_down(server, post, drain, monkeypatch):
    post(published([ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    wait_for_an_answer()

    def broken(claims, story, alone=False):
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(mending, "advance_group", broken)
        patch.setattr(mending, "sleep", lambda seconds: None)
        with pytest.raises(mending.InTrouble):
            turn.take_turn()
    assert calls.exchange().in_flight == 1
    assert Run.objects.get().state == "leased"
    (flight,) = calls.exchange()._flights.values()
    flight.rests_until = 0
    drain()
    assert (Run.objects.get().state, len(server.asked)) == ("done", 1)
    assert told("Pay") == [(1, "done")]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_ended_costs_no_answer(server, post, is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has no connection that somebody could end")
    post(published([ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    wait_for_an_answer()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    other.close()
    time.sleep(0.05)
    for _ in range(4):
        rounds.lanes.resting.clear()
        rounds.round_of_lanes({"runs"})
    assert Run.objects.get().state == "done"
    assert (told("Pay"), len(server.asked)) == ([(1, "done")], 1)
