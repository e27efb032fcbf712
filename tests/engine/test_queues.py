"""Runs that wait for what they share: cheap, in order, and no longer than they must."""

import pytest
from django.urls import reverse

from apps.actions.kinds.delay import Delay as Sleep
from apps.actions.kinds.http_api import HttpApi
from apps.engine import again, calls, queues
from apps.engine.models import Attempt, Call, Delay, Queue, Run
from apps.engine.sweep import sweep
from tests.engine.ordered import ANA, in_order
from tests.factories import published

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outside")]


@pytest.fixture
def post(post, clock):
    """One event comes after the other, so that there is an order to keep."""

    def send(*args):
        clock.tick(milliseconds=1)
        return post(*args)

    return send


def call(url, **columns):
    return (
        HttpApi,
        {"label": "Ask", "method": "GET", "url": f"{url}/?n={{{{ event.n }}}}"} | columns,
    )


def states():
    return dict.fromkeys(sorted(Run.objects.values_list("state", flat=True)))


def count(state):
    return Run.objects.filter(state=state).count()


def asked(server):
    return [int(asked.path.rpartition("=")[2]) for asked in server.asked]


# --- the limit of calls


def test_hundreds_of_runs_behind_a_limit_write_tens_of_rows_a_minute(
    server, post, drain, clock, settings
):
    settings.HTTP_PER_MINUTE = 10
    connector = published([call(server.url, over_limit="wait")])
    for n in range(300):
        post(connector, {"n": n})
    drain()
    assert (count("waiting"), Attempt.objects.count(), Delay.objects.count()) == (290, 300, 290)
    for minute in range(1, 5):
        clock.tick(seconds=30)
        drain()
        clock.tick(seconds=31)
        drain()
        assert len(server.asked) == 10 + 10 * minute
    # Each run that called has one more entry, and no row came of the others.
    assert Attempt.objects.count() == 300 + 40
    assert Delay.objects.count() == 290
    # Those of one minute leave together, and arrive in any order.
    arrived = asked(server)
    assert [sorted(arrived[i : i + 10]) for i in range(0, 50, 10)] == [
        list(range(i, i + 10)) for i in range(0, 50, 10)
    ]
    assert Attempt.objects.filter(result="waiting").count() == 290
    waited = Attempt.objects.filter(result="waiting").values_list("note", flat=True)
    assert set(waited) == {"Waits for a free slot of the rate limit"}


def test_no_more_are_woken_than_there_are_slots_however_late_the_drains_are(
    server, post, drain, clock, settings
):
    settings.HTTP_PER_MINUTE = 10
    connector = published([call(server.url, over_limit="wait")])
    for n in range(60):
        post(connector, {"n": n})
    drain()
    clock.tick(seconds=61)
    for _ in range(5):
        queues.turn()
        clock.tick(seconds=1)
    assert count("due") == 10
    drain()
    assert sorted(asked(server)) == list(range(20))


def test_who_comes_later_does_not_take_the_slot_of_who_waits(server, post, drain, clock, settings):
    settings.HTTP_PER_MINUTE = 2
    connector = published([call(server.url, over_limit="wait")])
    for n in range(4):
        post(connector, {"n": n})
    drain()
    clock.tick(seconds=61)
    post(connector, {"n": 4})
    drain()
    clock.tick(seconds=61)
    drain()
    arrived = asked(server)
    assert [sorted(arrived[:2]), sorted(arrived[2:4]), arrived[4:]] == [[0, 1], [2, 3], [4]]
    assert not Queue.objects.exists()


def test_a_slot_that_was_taken_by_others_leaves_a_run_in_its_place(
    server, post, drain, clock, settings
):
    settings.HTTP_PER_MINUTE = 1
    waits = published([call(server.url, over_limit="wait")])
    fails = published([call(server.url, over_limit="fail")])
    for n in range(3):
        post(waits, {"n": n})
    drain()
    clock.tick(seconds=61)
    queues.turn()  # wakes run 1
    Run.objects.filter(state="due").update(wake_at=clock.now + queues.SOON)
    post(fails, {"n": 100})
    drain()
    clock.tick(seconds=1)
    drain()
    for _ in range(2):
        clock.tick(seconds=61)
        drain()
    assert asked(server) == [0, 100, 1, 2]
    assert count("done") == 4
    again = Attempt.objects.filter(result="waiting", run=Run.objects.order_by("pk")[1])
    assert again.count() == 1


def test_when_the_limit_is_lifted_all_go_on(server, post, drain, clock, settings):
    settings.HTTP_PER_MINUTE = 1
    connector = published([call(server.url, over_limit="wait")])
    for n in range(5):
        post(connector, {"n": n})
    drain()
    settings.HTTP_PER_MINUTE = 0
    clock.tick(seconds=61)
    drain()
    assert sorted(asked(server)) == [0, 1, 2, 3, 4]


def test_a_run_that_was_held_meanwhile_waits_anew(server, post, drain, clock, settings):
    """Woken from the queue, it finds that an operator has opened the run before it again."""
    settings.HTTP_PER_MINUTE = 1
    connector = in_order(call(server.url, over_limit="wait"))
    post(connector, {"n": 1, "phone": ANA})
    drain()
    post(connector, {"n": 2, "phone": ANA})
    drain()
    first, second = Run.objects.order_by("pk")
    assert again.start(first, again.places(first.revision_id)[1], "ana")
    drain()
    clock.tick(seconds=61)
    drain()
    clock.tick(seconds=1)
    drain()
    second.refresh_from_db()
    assert (asked(server), second.state) == ([1, 1], "waiting")
    waits = Delay.objects.get(run=second.pk, state="waiting")
    assert (waits.queue, waits.holds) == (queues.LIMIT, False)
    clock.tick(seconds=61)
    drain()
    assert (asked(server), count("done")) == ([1, 1, 2], 2)


# --- hosts that don't answer

NOBODY = "http://127.0.0.1:1"


def silence(post, drain, connector, runs):
    """Five calls find nobody; the others wait."""
    for n in range(5):
        post(connector, {"n": n})
        drain()
    for n in range(5, runs):
        post(connector, {"n": n})
    drain()


def test_runs_behind_a_dead_host_reach_their_failure_after_one_pause(post, drain, clock):
    silence(post, drain, published([call(NOBODY)]), 60)
    assert count("waiting") == 55
    assert Delay.objects.get(run=Run.objects.order_by("-pk")[0]).waits_for.startswith("until 127.")
    clock.tick(seconds=31)
    drain()
    assert count("waiting") == 0
    assert Attempt.objects.filter(result="failed").count() == 60
    assert Attempt.objects.filter(result="waiting").count() == 55
    assert Call.objects.count() == 6  # one tried for all


def test_runs_behind_a_dead_host_reach_their_retry(post, drain, clock):
    connector = published([call(NOBODY, on_error="retry", retry_times=1, retry_wait=60)])
    silence(post, drain, connector, 40)
    for _ in range(8):
        clock.tick(seconds=31)
        drain()
    assert states() == {"done": None} or states() == {"failed": None}
    assert Attempt.objects.filter(result="retrying").count() == 40
    assert Attempt.objects.filter(result="failed").count() == 40
    assert Delay.objects.count() <= 40 * 3


def test_when_the_host_is_back_all_go_on_in_order(server, post, drain, clock):
    connector = published([call(server.url)])
    good, server.answer = server.answer, lambda asked: (503, {}, b"")
    silence(post, drain, connector, 30)
    server.answer = good
    clock.tick(seconds=31)
    drain()
    clock.tick(seconds=1)
    drain()
    assert count("waiting") == 0
    assert asked(server)[5] == 5  # the first one tries
    assert sorted(asked(server)) == list(range(30))
    assert Delay.objects.filter(state="waiting").count() == 0


def test_a_run_that_tries_and_had_to_wait_for_a_slot_is_heard_of_all_the_same(
    server, post, drain, clock, settings
):
    """Also by who knows nothing of the host: all workers were started anew meanwhile."""
    connector = published([call(server.url, over_limit="wait")])
    good, server.answer = server.answer, lambda asked: (503, {}, b"")
    silence(post, drain, connector, 12)
    server.answer = good
    calls.forget()
    settings.HTTP_PER_MINUTE = 1
    clock.tick(seconds=31)
    drain()
    assert count("waiting") == 7
    clock.tick(seconds=31)
    drain()
    assert (count("waiting"), len(server.asked)) == (6, 6)
    clock.tick(seconds=1)
    drain()
    waits = Delay.objects.filter(state="waiting")
    assert set(waits.values_list("queue", flat=True)) == {queues.LIMIT}


def test_a_run_that_tries_and_is_lost_is_followed_by_another(post, drain, clock):
    silence(post, drain, published([call(NOBODY)]), 10)
    clock.tick(seconds=31)
    assert queues.turn() == 1
    Run.objects.filter(state="due").update(state="cancelled")
    clock.tick(seconds=91)
    drain()
    assert count("waiting") == 0


@pytest.mark.parametrize("over_limit", ["wait", "fail"])
def test_who_tries_needs_a_slot_and_holds_up_nobody(post, drain, clock, settings, over_limit):
    settings.HTTP_PER_MINUTE = 5
    silence(post, drain, published([call(NOBODY, over_limit=over_limit)]), 12)
    assert (count("waiting"), Call.objects.count()) == (7, 5)
    clock.tick(seconds=31)
    drain()
    waiting = 7 if over_limit == "wait" else 6
    assert (count("waiting"), Call.objects.count()) == (waiting, 5)
    entries = Attempt.objects.count()
    clock.tick(seconds=30)  # the slots of the first five are free
    drain()
    assert (count("waiting"), Call.objects.count()) == (0, 6)
    assert Attempt.objects.count() == entries + waiting
    assert Attempt.objects.filter(note__contains="another run has just tried").count()
    assert not Queue.objects.filter(name=queues.LIMIT).exists()


def test_an_answer_that_is_too_large_is_an_answer(server, post, drain, clock):
    connector = published([call(server.url)])
    good, server.answer = server.answer, lambda asked: (503, {}, b"")
    silence(post, drain, connector, 10)
    server.answer = lambda asked: (200, {}, b"x" * 2_000_000)
    clock.tick(seconds=31)
    drain()
    server.answer = good
    clock.tick(seconds=1)
    drain()
    assert count("waiting") == 0


def text_of(client, name, *args):
    return " ".join(client.get(reverse(name, args=args)).content.decode().split())


def test_pages_say_what_a_run_waits_for(server, post, drain, clock, settings, admin_client):
    """And in the timeline that stays when it has gone on."""
    settings.HTTP_PER_MINUTE = 5
    limited = published([call(server.url, over_limit="wait")])
    for n in range(6):
        post(limited, {"n": n})
    drain()
    behind = Run.objects.get(state="waiting")
    page = text_of(admin_client, "admin:engine_run_change", behind.pk)
    assert "Waiting for a free slot of the rate limit. Reload" in page
    assert f"{clock.now.year + 9}" not in page and f"{clock.now.year + 10}" not in page
    listed = text_of(admin_client, "admin:engine_run_changelist")
    assert "Waits for a free slot of the rate limit" in listed
    delay = Delay.objects.get()
    asks = text_of(admin_client, "admin:engine_delay_cancel", delay.pk)
    assert f"Cancel run {behind.pk}? It waits for a free slot of the rate limit at its" in asks
    clock.tick(seconds=61)
    drain()
    page = text_of(admin_client, "admin:engine_run_change", behind.pk)
    assert "Waits for a free slot of the rate limit. It went on" in page


def test_a_run_before_a_silent_host_says_so(post, drain, clock, admin_client):
    silence(post, drain, published([call(NOBODY)]), 6)
    behind = Run.objects.get(state="waiting")
    page = text_of(admin_client, "admin:engine_run_change", behind.pk)
    assert "Waiting until 127.0.0.1:1 answers. Reload" in page


def test_new_runs_after_the_failure_wait_for_the_next_try(post, drain, clock):
    connector = published([call(NOBODY)])
    silence(post, drain, connector, 10)
    clock.tick(seconds=31)
    drain()
    post(connector, {"n": 99})
    drain()
    assert count("waiting") == 1
    clock.tick(seconds=31)
    drain()
    assert count("waiting") == 0


def test_another_host_is_called_meanwhile(server, post, drain, clock):
    silence(post, drain, published([call(NOBODY)]), 10)
    post(published([call(server.url)]), {"n": 1})
    drain()
    assert asked(server) == [1]


def test_a_waiting_run_can_be_cancelled_and_leaves_no_queue_behind(post, drain, clock):
    from apps.engine.cancel import cancel_runs

    silence(post, drain, published([call(NOBODY)]), 8)
    cancel_runs(list(Run.objects.filter(state="waiting").values_list("pk", flat=True)), "By ana")
    clock.tick(seconds=31)
    drain()
    clock.tick(seconds=91)
    drain()
    assert not Queue.objects.exists()


def test_a_queue_whose_row_was_lost_is_mended_by_the_sweep(post, drain, clock):
    silence(post, drain, published([call(NOBODY)]), 8)
    Queue.objects.all().delete()
    assert sweep()["queues"] == 1
    assert queues.mend() == 0  # it is there
    drain()
    assert count("waiting") == 0
    assert queues.mend() == 0  # nobody waits


def test_delays_that_wait_in_no_queue_need_none(post, drain):
    post(published([(Sleep, {"amount": 5, "unit": "days"})]), {"n": 1})
    drain()
    assert (count("waiting"), queues.mend(), Queue.objects.count()) == (1, 0, 0)


def test_a_queue_that_somebody_made_meanwhile_is_no_trouble(post, drain, monkeypatch):
    silence(post, drain, published([call(NOBODY)]), 8)
    names = Queue.objects.values_list
    monkeypatch.setattr(Queue.objects, "values_list", lambda *a, **k: names(*a, **k).none())
    assert queues.mend() == 1
    assert Queue.objects.count() == 1


def test_nothing_is_paid_for_queues_where_nobody_waits(server, post, drain):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    connector = published([call(server.url)])
    post(connector, {"n": 1})
    drain()
    post(connector, {"n": 2})
    with CaptureQueriesContext(connection) as captured:
        drain()
    asked_about = [q["sql"] for q in captured if "engine_queue" in q["sql"]]
    assert all("SELECT min(wake_at) FROM engine_queue" in sql for sql in asked_about)
    assert calls.exchange().in_flight == 0
