"""A run waits for one named call: an answer counts only for the run, epoch and call that it was
asked for, however runs are taken away, lost and claimed anew meanwhile."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError, connections

from apps.actions.kinds.add_note import AddNote
from apps.core import clock as core_clock
from apps.core.http.outgoing import Outgoing, outgoing
from apps.crm.models import Note
from apps.engine import again, calls, cancel, claims, dialling, group, mending, rounds, turn
from apps.engine.models import Attempt, Call, Run
from apps.engine.sweep import release_leases_of_the_dead
from tests.engine.asking import ANA, ask, told, wait_for_an_answer
from tests.factories import published
from tests.owners import of_a_dead_process

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outside")]


@pytest.fixture
def server(server):
    made = server
    made.answer = lambda asked: (200, {}, b'{"path": "%s"}' % asked.path.encode())
    return made


def flow(server):
    """Quote, note, pay: what a run does that must not be doubled."""
    return published(
        [
            ask(server, "Quote", "GET"),
            (AddNote, {"text": "note {{ event.n }}"}),
            ask(server, "Pay"),
        ],
        mapping={"phone": "{{ event.phone }}"},
    )


def paths(server):
    return [asked.path for asked in server.asked]


def run_out_its_lease(run):
    Run.objects.filter(pk=run.pk).update(lease_until=core_clock.now() - timedelta(seconds=1))
    assert Run.expire() == 1


def test_an_answer_and_a_new_claim_of_its_run_meet_in_one_turn(server, post, drain):
    post(flow(server), {"n": 1, "phone": ANA})
    turn.take_turn()
    run = Run.objects.get()
    cancel.cancel_runs([run.pk], "Cancelled by ana")
    run.refresh_from_db()
    assert again.start(run, again.places(run.revision_id)[1], "ana")
    wait_for_an_answer()
    drain()
    run.refresh_from_db()
    assert (run.state, run.passage, run.call) == ("done", 2, None)
    assert Note.objects.count() == 1
    assert paths(server) == ["/quote", "/quote", "/pay"]
    assert told("Quote") == [(2, "done")]
    assert told("Pay") == [(2, "done")]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_answer_of_a_lease_that_ran_out_is_taken_once(server, post, drain, method):
    """Who takes the run on finds the answer written down, and does not ask again; even who has
    the answer and the run in hand at once."""
    post(published([ask(server, "Quote", method), ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    run_out_its_lease(Run.objects.get())
    wait_for_an_answer()
    turn.take_turn()
    drain()
    Run.objects.update(wake_at=core_clock.now())
    drain()
    assert Run.objects.get().state == "done"
    assert paths(server) == ["/quote", "/pay"]
    assert (told("Quote"), told("Pay")) == ([(1, "done")], [(1, "done")])


def test_whoever_has_the_answer_of_a_lease_that_ran_out_writes_it_down_first(server, post, drain):
    """It could not for a while: the disk was full. Its call may not be asked for again, and would
    be called unknown by whoever takes the run on too soon."""
    post(published([ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    wait_for_an_answer()
    run_out_its_lease(Run.objects.get())
    drain()
    assert (Call.objects.get().state, Run.objects.get().state) == ("answered", "due")
    Run.objects.update(wake_at=core_clock.now())
    drain()
    assert (told("Pay"), len(server.asked)) == ([(1, "done")], 1)


def test_a_stale_and_a_fresh_claim_of_one_run_never_pass_together(server, post):
    post(flow(server), {"n": 1, "phone": ANA})
    (stale,) = turn.claim_batch(1)
    run_out_its_lease(stale)
    Run.objects.update(attempts=0)
    (fresh,) = turn.claim_batch(1)
    mine, _ = group.fence([group.Claim(stale), group.Claim(fresh), group.Claim(fresh)])
    assert [claim.run for claim in mine] == [fresh]
    assert mine[0].run is fresh


def test_run_again_after_a_cancel_in_mid_call_makes_the_request(server, post, drain):
    post(published([ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    run = Run.objects.get()
    cancel.cancel_runs([run.pk], "Cancelled by ana")
    drain()
    for passage in (2, 3):
        run.refresh_from_db()
        assert (run.call, len(server.asked)) == (None, passage - 1)
        again.start(run, again.places(run.revision_id)[0], "ana")
        drain()
    assert told("Pay") == [(2, "done"), (3, "done")]


@pytest.mark.parametrize("ends", ["fail", "give up"])
def test_a_run_that_is_ended_waits_for_no_call(server, post, ends):
    post(published([ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    calls.forget()
    run = Run.objects.get()
    assert run.call == Call.objects.get().pk
    if ends == "fail":
        mending.fail(group.Claim(run), "No")
    else:
        mending.give_up(run)
    run.refresh_from_db()
    assert (run.state, run.call) == ("failed", None)
    assert Call.objects.get().state == "unknown"


# --- the word of a commit is lost


@pytest.fixture
def lost_word(monkeypatch):
    """Commits are done, and the connection breaks before their word arrives: as often as told."""

    class Loss:
        times = 0

    database = type(connections["default"])
    real = database._commit

    def commit(self):
        real(self)
        if Loss.times:
            Loss.times -= 1
            raise OperationalError("the connection is lost")

    monkeypatch.setattr(database, "_commit", commit)
    monkeypatch.setattr(mending, "sleep", lambda seconds: None)
    return Loss


@pytest.mark.django_db(transaction=True)
def test_a_turn_whose_commit_lost_its_word_is_not_done_again(server, post, lost_word):
    """The turn takes Quote's answer and commits to asking for Pay."""
    post(published([ask(server, "Quote", "GET"), ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    wait_for_an_answer()
    lost_word.times = 1
    turn.take_turn()
    assert lost_word.times == 0
    for _ in range(20):
        outgoing().wait(0.1)
        turn.take_turn()
    run = Run.objects.get()
    assert run.state == "done"
    assert paths(server) == ["/quote", "/pay"]
    assert {key: got["path"] for key, got in run.values["http"].items()} == {
        "quote": "/quote",
        "pay": "/pay",
    }
    assert list(Attempt.objects.values_list("label", "result")) == [
        ("Quote", "done"),
        ("Pay", "done"),
    ]


@pytest.mark.django_db(transaction=True)
def test_effects_of_a_commit_whose_word_was_lost_happen_once(post, lost_word):
    connector = published([(AddNote, {"text": "x"})], mapping={"phone": "{{ event.phone }}"})
    for n in range(3):
        post(connector, {"n": n, "phone": f"+49151{n:08d}"})
    lost_word.times = 2
    rounds.round_of_lanes({"runs"})
    for _ in range(3):
        rounds.lanes.resting.clear()
        rounds.round_of_lanes({"runs", "suspects"})
    assert lost_word.times == 0
    assert set(Run.objects.values_list("state", "attempts")) == {("done", 0)}
    assert Note.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_claims_whose_word_was_lost_are_put_back_at_once(post, monkeypatch):
    post(published([(AddNote, {"text": "x"})]), {"n": 1})
    real = turn.claim_batch

    def claim(*args):
        real(*args)
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(turn, "claim_batch", claim)
    assert rounds.round_of_lanes({"runs"}) == 0
    run = Run.objects.get()
    assert (run.state, run.attempts, run.lease_until) == ("due", 0, None)


def test_an_intent_that_nobody_flies_has_not_left_and_is_asked_for_anew(server, post, drain):
    """The process lost its memory of the flight before the request was made."""
    post(published([ask(server, "Pay")]), {"n": 1})
    exchange = calls.exchange()
    exchange.start = lambda flights, leave_by: None
    turn.take_turn()
    del exchange.start
    other = Call.objects.create(action_uid=uuid4(), idempotency_key="x", request={})
    assert rounds.recover() == 1
    made = Call.objects.exclude(pk=other.pk).get()
    assert (made.state, made.error) == ("failed", "The request was not made.")
    other.refresh_from_db()
    assert other.state == "sending"  # somebody else's
    drain()
    assert (Run.objects.get().state, len(server.asked)) == ("done", 1)
    assert told("Pay") == [(1, "done")]


def test_a_call_of_a_dead_worker_is_not_taken_for_one_that_never_left(server, post, drain):
    """Whoever took the run on broke before its turn, and could not even put it back."""
    post(published([ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    wait_for_an_answer()
    calls.forget()
    Run.objects.update(lease_owner=of_a_dead_process())
    assert release_leases_of_the_dead() == 1
    assert len(claims.claim_batch()) == 1
    made = Call.objects.get()
    assert rounds.recover() == 1
    assert list(Run.objects.values_list("state", "call")) == [("due", made.pk)]
    made.refresh_from_db()
    assert made.state == "sending"
    drain()
    assert (len(server.asked), told("Pay")) == (1, [(1, "failed")])
    made.refresh_from_db()
    assert made.state == "unknown"


def test_what_breaks_behind_a_commit_makes_no_request_twice(server, post, drain, monkeypatch):
    for n in range(3):
        post(published([ask(server, "Pay")]), {"n": n})
    real, breaks = Outgoing.collect, [True]

    def collect(outgoing):
        real(outgoing)
        if outgoing.pool.in_flight >= 2 and breaks:
            breaks.clear()
            raise ValueError("an answer that nobody expected")

    monkeypatch.setattr(Outgoing, "collect", collect)
    monkeypatch.setattr(rounds, "_tell", lambda lane, error: None)
    rounds.round_of_lanes({"runs"})
    assert not breaks
    drain()
    assert paths(server) == ["/pay"] * 3
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}


def test_a_redirect_to_nonsense_ends_its_run_and_leaves_no_line_taken(server, post, drain):
    server.answer = lambda asked: (302, {"Location": "http://["}, b"")
    post(published([ask(server, "Pay")]), {"n": 1})
    drain()
    assert (told("Pay"), len(server.asked)) == ([(1, "failed")], 1)
    assert outgoing().in_flight == outgoing().pool.in_flight == 0


# --- poison, and the erased


def test_an_answer_that_kills_its_worker_is_asked_for_as_often_as_poison_allows(
    server, post, drain
):
    post(published([ask(server, "Bad", "GET")]), {"n": 1})
    for _ in range(12):
        turn.take_turn()
        calls.forget()  # dies on the answer
        Run.expire(only_owners=list(Run.objects.values_list("lease_owner", flat=True)))
    run = Run.objects.get()
    assert run.state == "failed"
    assert run.error.startswith("Poison: the run interrupted its worker 6 times and was ended.")
    assert len(server.asked) <= 6


def test_a_late_answer_keeps_nothing_of_somebody_who_was_erased(server, post, drain):
    server.answer = lambda asked: (200, {}, b'{"iban": "DE02120300000000202051"}')
    post(published([ask(server, "Who")]), {"n": 1})
    turn.take_turn()
    cancel.cancel_runs([Run.objects.get().pk], "The contact was erased.")
    Call.objects.update(request={}, response={}, error="")
    drain()
    call = Call.objects.get()
    assert (call.state, call.request, call.response, call.error) == ("answered", {}, {}, "")


def test_a_late_answer_does_not_undo_what_is_known(server, post, drain):
    post(published([ask(server, "Pay")]), {"n": 1})
    turn.take_turn()
    (flight,) = calls.exchange()._flights.values()
    Call.objects.update(state="answered", response={"status": 200})
    wait_for_an_answer()
    calls.exchange().answers()
    dialling.write_late_outcomes([flight])
    assert Call.objects.get().response == {"status": 200}
