"""Outside calls of runs: intent, request, outcome; what becomes of them when something breaks."""

from threading import Event
from time import monotonic

import pytest
from django.test import override_settings

from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.stop import StopRun
from apps.connectors.on_error import OnError
from apps.core.http.outgoing import outgoing
from apps.engine import again, calls, turn
from apps.engine.models import Attempt, Call, Delay, Run
from tests.factories import published

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outside")]


def call(server, **columns):
    return (
        HttpApi,
        {
            "label": "Ask",
            "url": f"{server.url}/ask",
            "body_type": "json",
            "body": '{"n": "{{ event.n }}"}',
            **columns,
        },
    )


def test_a_run_asks_and_goes_on_with_the_answer(server, post, drain):
    server.answer = lambda asked: (
        200,
        {},
        b'{"id": %d}' % (asked.json.get("n", 0) + 100),
    )
    second = call(server, label="Link", body='{"ref": "{{ http.ask.id }}"}')
    connector = published([call(server), second], [(StopRun, {})])
    for n in range(5):
        assert post(connector, {"n": n}).status_code == 202
    drain()
    assert set(Run.objects.values_list("state", "call")) == {("stopped", None)}
    assert sorted(a.json["n"] for a in server.asked if "n" in a.json) == [0, 1, 2, 3, 4]
    assert sorted(a.json["ref"] for a in server.asked if "ref" in a.json) == list(range(100, 105))
    assert len({a.headers["Idempotency-Key"] for a in server.asked}) == 10
    assert set(Call.objects.values_list("state", flat=True)) == {"answered"}
    (first,) = [c for c in Call.objects.all() if c.request["body"] == '{"n":3}']
    assert (first.response["status"], first.response["body"]) == (200, '{"id": 103}')
    assert [a.result for a in Attempt.objects.filter(run=first.run_id).order_by("pk")] == [
        "done",
        "done",
        "stopped",
    ]


def test_the_intent_stands_in_the_database_before_the_request_leaves(server, post, drain):
    seen = []
    flying = calls.exchange()
    start = flying.start
    flying.start = lambda flights, leave_by: (
        seen.extend(Call.objects.values_list("state", "run__call", "run__state", "pk")),
        start(flights, leave_by),
    )
    post(published([call(server)]), {"n": 1})
    drain()
    assert seen[0] == ("sending", seen[0][-1], "leased", seen[0][-1])
    assert Run.objects.get().state == "done"


def test_a_request_leaves_with_its_turn_and_an_answer_that_is_there_is_not_waited_for(
    server, post, drain
):
    connector = published([call(server)])
    post(connector, {"n": 1})
    drain()  # leaves a connection that is kept
    asked = Event()
    server.answer = lambda _: asked.set() or (200, {}, b"{}")
    post(connector, {"n": 2})
    assert turn.take_turn() == 1
    assert asked.wait(30)  # nobody works on the calls meanwhile
    began = monotonic()
    for _ in range(3):
        outgoing().wait(60)
    assert monotonic() - began < 50
    drain()
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}


def test_a_lost_answer_of_a_post_is_unknown_and_nothing_is_called_twice(server, post, drain):
    server.answer = lambda asked: None
    post(published([call(server)]), {"n": 1})
    drain()
    assert len(server.asked) == 1
    assert Call.objects.get().state == "unknown"
    assert Attempt.objects.get().note.startswith("Outcome unknown")
    assert Run.objects.get().state == "done"  # on error: continue further steps


@pytest.mark.parametrize("columns", [{"safe_to_repeat": True}, {"method": "PUT"}])
def test_a_lost_answer_that_may_be_repeated_is_asked_for_again(server, post, drain, columns):
    server.answer = lambda asked: (200, {}, b"{}") if len(server.asked) == 3 else None
    post(published([call(server, **columns)]), {"n": 1})
    drain()
    assert len(server.asked) == 3
    assert sorted(Call.objects.values_list("state", flat=True)) == [
        "answered",
        "unknown",
        "unknown",
    ]
    assert Attempt.objects.get().result == "done"


def crash_in_flight(drain):
    """Take a turn that calls, and lose this process's memory of it, as a kill would."""
    from apps.engine.turn import take_turn

    take_turn()
    assert calls.exchange().in_flight
    calls.forget()
    assert Run.objects.get().state == "leased"
    Run.expire(only_owners=[Run.objects.get().lease_owner])


def test_after_a_crash_a_call_that_may_have_left_is_unknown(server, post, drain):
    stop = {"on_error": OnError.STOP}
    post(published([call(server, **stop)], [(StopRun, {})]), {"n": 1})
    crash_in_flight(drain)
    before = len(server.asked)
    drain()
    assert len(server.asked) == before
    assert Call.objects.get().state == "unknown"
    run = Run.objects.get()
    assert (run.state, run.call) == ("failed", None)
    assert "Outcome unknown" in run.error


def test_after_a_crash_a_call_that_may_be_repeated_is_made_with_the_same_key(server, post, drain):
    post(published([call(server, safe_to_repeat=True)], [(StopRun, {})]), {"n": 1})
    crash_in_flight(drain)
    drain()
    assert Run.objects.get().state == "stopped"
    assert len(set(Call.objects.values_list("idempotency_key", flat=True))) == 1
    assert sorted(Call.objects.values_list("state", flat=True)) == ["answered", "unknown"]


def test_an_outcome_is_kept_though_the_run_was_taken_away(server, post, drain):
    from apps.engine.cancel import cancel_runs
    from apps.engine.turn import take_turn

    post(published([call(server)], [(StopRun, {})]), {"n": 1})
    take_turn()
    cancel_runs([Run.objects.get().pk], "By hand")
    drain()
    assert Run.objects.get().state == "cancelled"
    assert Call.objects.get().state == "answered"


@override_settings(HTTP_PER_MINUTE=10)
def test_the_eleventh_call_in_a_minute_is_over_the_limit(server, post, drain, clock):
    connector = published([call(server)])
    for n in range(12):
        post(connector, {"n": n})
    drain()
    assert len(server.asked) == 10
    notes = list(Attempt.objects.filter(result="failed").values_list("note", flat=True))
    assert notes == ["Rate Limit Exceeded"] * 2
    post(connector, {"n": 13})
    drain()
    assert Attempt.objects.filter(note="Rate Limit Exceeded").count() == 3
    clock.tick(seconds=61)
    post(connector, {"n": 99})
    drain()
    assert len(server.asked) == 11


@override_settings(HTTP_PER_MINUTE=10)
def test_over_the_limit_a_run_may_wait_for_a_slot(server, post, drain, clock):
    connector = published([call(server, over_limit="wait")])
    for n in range(12):
        post(connector, {"n": n})
        clock.tick(seconds=1)
    drain()
    assert len(server.asked) == 10
    assert Run.objects.filter(state="waiting").count() == 2
    clock.tick(seconds=60)
    drain()
    assert len(server.asked) == 12
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}


def test_runs_park_while_a_host_does_not_answer(server, post, drain, clock):
    nobody = {"url": "http://127.0.0.1:1/"}
    connector = published([call(server, method="GET", body_type="none", **nobody)])
    for n in range(5):
        post(connector, {"n": n})
        drain()
    assert Attempt.objects.filter(result="failed").count() == 5
    post(connector, {"n": 6})
    drain()
    assert Run.objects.filter(state="waiting").count() == 1
    assert "does not answer" in Attempt.objects.get(result="waiting").note
    assert Delay.objects.get().state == "waiting"
    clock.tick(seconds=31)
    drain()
    assert Run.objects.filter(state="waiting").count() == 0
    assert Attempt.objects.filter(result="failed").count() == 6


def test_after_a_pause_one_run_tries_and_the_others_get_what_becomes_of_it(
    server, post, drain, clock
):
    server.says({}, status=503)
    connector = published([call(server)])
    for n in range(5):
        post(connector, {"n": n})
        drain()
    for n in range(4):
        post(connector, {"n": n})
    drain()
    assert (len(server.asked), Run.objects.filter(state="waiting").count()) == (5, 4)
    clock.tick(seconds=31)
    drain()
    assert (len(server.asked), Run.objects.filter(state="waiting").count()) == (6, 0)
    assert Attempt.objects.filter(result="failed").count() == 9
    post(connector, {"n": 9})
    drain()
    server.says({})
    clock.tick(seconds=31)
    drain()
    assert (len(server.asked), Run.objects.filter(state="done").count()) == (7, 10)


def test_a_deliberate_repeat_has_a_key_of_its_own(server, post, drain):
    post(published([call(server)]), {"n": 1})
    drain()
    run = Run.objects.get()
    assert again.start(run, again.places(run.revision_id)[0], "ana")
    drain()
    keys = [asked.headers["Idempotency-Key"] for asked in server.asked]
    assert len(keys) == len(set(keys)) == 2
    assert sorted(keys) == sorted(Call.objects.values_list("idempotency_key", flat=True))


def test_a_connector_may_not_hold_all_lines(server, post, drain):
    flying = calls.exchange()
    outgoing().share("calls").capacity = 4
    connector = published([call(server)])
    for n in range(9):
        post(connector, {"n": n})
    drain()
    assert len(server.asked) == 9
    assert flying.crowded() == []


def test_a_drain_that_ends_makes_no_more_calls_and_leaves_its_runs_to_the_next(server, post, drain):
    from apps.engine.turn import take_turn

    post(published([call(server), call(server, label="Then")], [(StopRun, {})]), {"n": 1})
    take_turn()
    exchange = calls.exchange()
    outgoing().wait(30)
    exchange.closing = True
    take_turn(runs=False, suspects=False)
    run = Run.objects.get()
    assert (run.state, run.position, run.call, run.lease_until) == ("due", 1, None, None)
    assert (exchange.in_flight, len(server.asked)) == (0, 1)
    exchange.closing = False
    drain()
    assert (Run.objects.get().state, len(server.asked)) == ("stopped", 2)
