"""In order per contact with several workers: any interleaving, and what it costs."""

import json

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.actions.kinds.route_to_connector import RouteToConnector
from apps.engine import cancel, claims, delays, intake, order, plan, sources, turn
from apps.engine.bodies import Body
from apps.engine.models import Attempt, Event, Run
from tests.engine.ordered import A_DAY, ANA, BEN, NOT_ACTIONS, TAG, acted, held_after, in_order
from tests.engine.test_plans import assert_only_by_index, plans_of, series
from tests.factories import published

pytestmark = pytest.mark.django_db


# --- two workers


def hands(*sizes):
    return [claims.claim_batch(size) for size in sizes]


def test_a_run_looks_again_soon_while_earlier_ones_have_no_contact_yet(send, drain, clock):
    first, second = send(in_order(TAG, A_DAY), ANA, ANA)
    one, other = hands(1, 1)
    turn.work_off(other)
    turn.work_off(claims.claim_batch())
    assert acted() == []
    assert Run.objects.get(pk=second.pk).wake_at > clock.now
    turn.work_off(one)
    clock.tick(seconds=1)
    drain()
    assert acted() == [first.pk] * 2
    assert held_after(second) == f"In order: after run {first.pk}"


@pytest.mark.parametrize("way", ["routed", "by the house"])
def test_runs_that_were_not_posted_stand_in_line_before_their_contact_is_found(
    post, drain, clock, way
):
    """Two workers have one each, and the later one is quicker."""
    target = in_order(TAG, A_DAY)
    body = Body("json", json.dumps({"phone": ANA, "tag": "x"}))
    if way == "routed":
        source = published([(RouteToConnector, {"connector": target})])
        for _ in range(2):
            post(source, {"phone": ANA, "tag": "x"})
        turn.take_turn()
    else:
        for _ in range(2):
            sources.start(target.pk, target.published_id, Event.Source.MANUAL, body, {})
    first, second = Run.objects.filter(connector=target).order_by("pk")
    one, other = hands(1, 1)
    assert [run.pk for run in (*one, *other)] == [first.pk, second.pk]
    for _ in range(3):
        turn.work_off(other)
        other = claims.claim_batch()
    assert second.pk not in acted()
    turn.work_off(one)
    for _ in range(3):
        clock.tick(seconds=1)
        drain()
    told = [pk for pk in acted() if pk in (first.pk, second.pk)]
    assert told == [first.pk] * 2
    assert held_after(second) == f"In order: after run {first.pk}"


def test_a_run_that_has_begun_goes_before_one_that_was_accepted_earlier(send, drain, clock):
    """Ids are given before rows can be seen: a run may come to light after a later one began."""
    late, begun = send(in_order(TAG, A_DAY, TAG), ANA, ANA)
    Run.objects.filter(pk=late.pk).update(state="unseen", line=None)
    drain()
    Run.objects.filter(pk=late.pk).update(state="due", line=0)
    drain()
    clock.tick(days=1)
    drain()
    clock.tick(days=1)
    drain()
    assert acted() == [begun.pk] * 3 + [late.pk] * 3


INTERLEAVINGS = st.lists(
    st.one_of(
        st.tuples(st.just("post"), st.sampled_from([ANA, BEN])),
        st.tuples(st.just("claim"), st.integers(0, 2), st.integers(1, 4)),
        st.tuples(st.just("work"), st.integers(0, 2)),
        st.tuples(st.just("wake")),
        st.tuples(st.just("tick"), st.sampled_from([0.1, 3600, 50_000])),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("die"), st.integers(0, 2)),
    ),
    min_size=5,
    max_size=60,
)


class World:
    """Three workers, each with a batch in hand or none."""

    def __init__(self, post, clock):
        self.post, self.clock = post, clock
        self.connector = in_order(TAG, A_DAY, TAG)
        self.hands = [[], [], []]

    def do(self, what, *more):
        getattr(self, f"_{what}")(*more)

    def _post(self, phone):
        self.post(self.connector, {"phone": phone, "tag": "x"})

    def _claim(self, worker, size):
        if not self.hands[worker]:
            self.hands[worker] = claims.claim_batch(size)

    def _work(self, worker):
        if self.hands[worker]:
            turn.work_off(self.hands[worker])
        self.hands[worker] = []

    def _wake(self):
        delays.wake()

    def _tick(self, seconds):
        self.clock.tick(seconds=seconds)

    def _cancel(self, number):
        chosen = Run.objects.order_by("pk").values_list("pk", flat=True)[number : number + 1]
        cancel.cancel_runs(list(chosen), "By hand")

    def _die(self, worker):
        """Its runs are due again, with another epoch."""
        lost = [run.pk for run in self.hands[worker]]
        for run in Run.objects.filter(pk__in=lost, state="leased"):
            run.state, run.attempts, run.lease_epoch = "due", 0, run.lease_epoch + 1
            run.save()
        self.hands[worker] = []

    def end(self):
        for worker in range(3):
            self._work(worker)
        for _ in range(400):
            if not Run.objects.filter(state__in=Run.OPEN).exists():
                return
            while delays.wake() + turn.take_turn():
                pass
            self.clock.tick(seconds=20)
            if not Run.objects.filter(state="due").exists():
                # Nobody is held behind a run that has ended.
                self.clock.tick(days=1)
        raise AssertionError("The work does not end")

    def check(self):
        """Every run's actions stand together, in the order of the runs."""
        lines = dict(Run.objects.values_list("pk", "line"))
        for line in set(lines.values()):
            story = [pk for pk in acted() if lines[pk] == line]
            assert story == sorted(story)
        done = Run.objects.filter(state="done").count()
        assert done + Run.objects.filter(state="cancelled").count() == len(lines)
        per_run = Attempt.objects.exclude(kind__in=NOT_ACTIONS).filter(run_id__in=lines)
        complete = Run.objects.filter(state="done").values("pk")
        # A cancelled delay is told of by its own entry.
        assert per_run.filter(run_id__in=complete).count() == 3 * done


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(steps=INTERLEAVINGS)
def test_any_interleaving_of_workers_keeps_the_order(post, clock, steps):
    with transaction.atomic():
        world = World(post, clock)
        for step in steps:
            world.do(*step)
        world.end()
        world.check()
        transaction.set_rollback(True)
    intake._cache.clear()
    plan._cached.cache_clear()


# --- cost


def test_looking_and_releasing_read_the_start_of_an_index(clock, is_postgresql):
    connector = in_order(TAG)
    template = (
        "INSERT INTO engine_run (event_id, connector_id, revision_id, state, wake_at, started_at,"
        " position, passage, attempts, {values}, error, lease_owner, lease_epoch, line, cause,"
        " cause_id) SELECT n, {connector}, 1, '{state}', {now}, {now}, {position}, 1, 0, '{{}}',"
        " '', '', 0, {line}, 'event', n FROM {series}"
    )
    words = {
        "connector": connector.pk,
        "values": connection.ops.quote_name("values"),
        "now": "now()" if is_postgresql else "'2020-01-01 00:00:00'",
        "series": series(20_000),
    }
    with connection.cursor() as cursor:
        for state, position, line in [
            ("done", 1, "1 + n % 3"),
            ("waiting", -1, "1 + n % 3"),
            ("due", -1, "NULL"),
        ]:
            cursor.execute(template.format(**words, state=state, position=position, line=line))
        cursor.execute(
            "INSERT INTO engine_delay (run_id, connector_id, action_uid, label, identifier,"
            " wake_at, state, created_at) SELECT id, connector_id, NULL, 'In order', '', wake_at,"
            " 'waiting', wake_at FROM engine_run WHERE state = 'waiting'"
        )
        cursor.execute("ANALYZE engine_run")
        cursor.execute("ANALYZE engine_delay")
    lines = [(connector.pk, line) for line in (0, 1, 2)]
    for work in (
        lambda: order._heads(lines, [1, 2, 3]),
        lambda: order._hold_still([1, 2, 3]) if is_postgresql else order._heads(lines, [1]),
        lambda: order.release(dict.fromkeys(lines, 4)),
    ):
        read = plans_of(work)
        assert_only_by_index(read, "engine_run")
        assert_only_by_index(read, "engine_delay")
    read = plans_of(lambda: order._heads(lines, [1, 2, 3]))
    assert "engine_run_line" in read
    # In the order of the index: neither a sort of the line nor all of its rows.
    assert "Sort" not in read and "TEMP B-TREE" not in read
