"""Counters under two workers that work at the same time: nothing is lost, nobody stays stuck."""

import multiprocessing
import os
from collections.abc import Callable

import pytest
from django.db import connection

from apps.actions.kinds.trigger_counter import TriggerCounter
from apps.datastore import counters
from apps.datastore.models import CounterValue
from apps.engine import group
from apps.engine.agenda import look
from apps.engine.models import Attempt, Run
from apps.engine.rounds import round_of_lanes
from tests.factories import CounterFactory, published

RUNS, PEOPLE = 200, 8


def _drain() -> None:
    """What a worker does, in a process of its own."""
    group.SECONDS = 0.02  # many turns, so that they meet
    while round_of_lanes(look().due()):
        pass
    connection.close()
    os._exit(0)


def _in_two_processes(work: Callable[[], None]) -> list[int | None]:
    connection.close()  # the processes inherit none
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(90)
    return [worker.exitcode for worker in workers]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_two_workers_count_every_run_once(post, is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has one writer")
    one, other = CounterFactory(name="One"), CounterFactory(name="Other")
    mine = CounterFactory(name="Mine", scope="contact")
    # The two connectors name the counters in opposite orders, which is how deadlocks are made.
    ways = [
        published([_trigger(c) for c in order], mapping={"phone": "{{ event.phone }}"})
        for order in ([one, mine, other], [other, mine, one])
    ]
    for number in range(RUNS):
        phone = f"+4915100000{number % PEOPLE:03d}"
        assert post(ways[number % 2], {"phone": phone}).status_code == 202
    assert _in_two_processes(_drain) == [0, 0]
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}
    assert Run.objects.values("lease_owner").distinct().count() == 2
    assert (counters.current(one), counters.current(other)) == (RUNS, RUNS)
    own = CounterValue.objects.filter(counter=mine).values_list("value", flat=True)
    assert list(own) == [RUNS // PEOPLE] * PEOPLE
    given = Attempt.objects.filter(kind="trigger_counter", label="One")
    assert sorted(entry.came_out["value"] for entry in given) == list(range(1, RUNS + 1))


def _trigger(counter):
    return TriggerCounter, {"counter": counter, "label": counter.name}
