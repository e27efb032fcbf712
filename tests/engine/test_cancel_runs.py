"""Ending runs before their time."""

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay as DelayAction
from apps.core import clock as core_clock
from apps.crm.models import Tag
from apps.engine import turn
from apps.engine.cancel import cancel_open, cancel_runs
from apps.engine.claims import claim_batch
from apps.engine.models import Attempt, Delay, Run
from tests.factories import published

pytestmark = pytest.mark.django_db


def sleeper():
    return published(
        [(DelayAction, {"amount": 2, "unit": "hours"}), (AddTag, {"new_tags": "late"})]
    )


def mapped_tagger():
    return published([(AddTag, {"new_tags": "tagged"})], mapping={"phone": "{{ event.phone }}"})


def test_a_waiting_run_ends_with_its_delay_and_an_entry(post, drain, clock):
    post(sleeper(), {})
    drain()
    run = Run.objects.get()
    assert cancel_runs([run.pk], "Cancelled by ana") == 1
    run.refresh_from_db()
    assert (run.state, run.error, run.finished_at) == ("cancelled", "Cancelled by ana", clock.now)
    delay = Delay.objects.get()
    assert (delay.state, delay.ended_at) == ("cancelled", clock.now)
    entry = Attempt.objects.latest("pk")
    assert (entry.label, entry.result, entry.note) == (
        "Run cancelled",
        "cancelled",
        "Cancelled by ana",
    )
    clock.tick(hours=3)
    assert drain() == 0
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_a_due_run_does_nothing_any_more(post, drain, clock):
    post(mapped_tagger(), {"phone": "+4915112345678"})
    assert cancel_runs([Run.objects.get().pk], "no") == 1
    assert drain() == 0
    assert not Tag.objects.exists()


def test_a_worker_that_holds_the_run_drops_it_at_its_fence(post, clock):
    post(mapped_tagger(), {"phone": "+4915112345678"})
    held = claim_batch()
    assert len(held) == 1
    assert cancel_runs([held[0].pk], "no") == 1
    turn.work_off(held)
    run = Run.objects.get()
    assert (run.state, run.position) == ("cancelled", -1)
    assert not Tag.objects.exists()
    assert [entry.label for entry in Attempt.objects.all()] == ["Run cancelled"]


def test_ended_runs_and_unknown_ids_are_left_alone(post, drain, clock):
    post(mapped_tagger(), {"phone": "+4915112345678"})
    drain()
    run = Run.objects.get()
    assert run.state == "done"
    assert cancel_runs([run.pk, run.pk + 1], "no") == 0
    run.refresh_from_db()
    assert run.state == "done"
    assert not Attempt.objects.filter(label="Run cancelled").exists()


def test_the_runs_of_one_connector_only(post, drain, clock):
    mine, other = sleeper(), sleeper()
    for connector in (mine, mine, other):
        post(connector, {})
    drain()
    assert cancel_open(mine, "The connector was deleted.").done == 2
    assert set(Run.objects.filter(connector=mine).values_list("state", flat=True)) == {"cancelled"}
    assert Run.objects.get(connector=other).state == "waiting"
    assert Delay.objects.get(connector=other).state == "waiting"


def test_many_runs_take_a_number_of_queries_that_does_not_grow_with_them(
    post, drain, clock, django_assert_max_num_queries
):
    connector = sleeper()
    for _ in range(30):
        post(connector, {})
    drain()
    # count, ids, savepoint, lock, runs, delays (read and write), attempts, release
    with django_assert_max_num_queries(9):
        assert cancel_open(connector, "no").done == 30
    assert core_clock.now() == clock.now
