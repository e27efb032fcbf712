"""The sweep puts right what dead workers left behind, and only that."""

import multiprocessing
import warnings
from datetime import timedelta

import pytest
from django_q.models import Failure, Schedule

from apps.actions.kinds.stop import StopRun
from apps.core import due
from apps.engine import leases
from apps.engine import sweep as sweeping
from apps.engine.claims import claim_batch
from apps.engine.models import DedupeKey, Run
from apps.engine.sweep import ensure_schedule, release_leases_of_the_dead, sweep
from apps.messaging import delivery, outbox
from apps.messaging.gateways.sandbox import arrive
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, published
from tests.owners import of_a_dead_process

pytestmark = pytest.mark.django_db


@pytest.fixture
def queued(clock):
    outbox.queue(ChannelFactory(), ["+4915112345678"], "Hi", key="run:1:1:x")
    return Message.objects.get()


def test_an_expired_lease_of_a_run_is_work_again(post, clock):
    post(published([(StopRun, {})]), {})
    (run,) = claim_batch()
    assert leases.expire() == 0
    clock.tick(seconds=61)
    assert leases.expire() == 1
    again = Run.objects.get()
    assert (again.state, again.lease_epoch) == ("due", run.lease_epoch + 1)


def test_a_lost_send_is_unknown_and_never_sent_again(queued, clock, drain):
    delivery.mark_sending(delivery.claim(), longest=5)
    clock.tick(seconds=64)
    assert leases.expire() == 0
    clock.tick(seconds=2)
    assert leases.expire() == 1
    drain()
    queued.refresh_from_db()
    assert queued.state == Message.State.UNKNOWN
    assert not PhoneMessage.objects.exists()


def test_a_leased_message_was_never_handed_over_and_is_sent(queued, clock, drain):
    delivery.claim()
    clock.tick(seconds=61)
    leases.expire()
    drain()
    queued.refresh_from_db()
    assert queued.state == Message.State.SENT


def test_a_lost_answer_is_settled_by_what_the_gateway_has(queued, clock):
    (message,) = delivery.mark_sending(delivery.claim())
    arrive([delivery.gateway("sandbox").request(message)])
    clock.tick(seconds=61)
    leases.expire()
    counts = sweep()
    queued.refresh_from_db()
    assert (counts["settled"], queued.state) == (1, Message.State.SENT)
    assert queued.reason == "Found at the gateway."
    assert PhoneMessage.objects.count() == 1


def test_a_late_answer_wins_over_unknown(queued, clock):
    delivery.send(delivery.claim())
    clock.tick(seconds=121)
    assert Message.expire() == 1
    delivery.settle_answered()
    queued.refresh_from_db()
    assert queued.state == Message.State.SENT


def test_leases_of_dead_processes_need_not_run_out(post, clock, monkeypatch):
    post(published([(StopRun, {})]), {})
    claim_batch()
    assert release_leases_of_the_dead() == 0  # this process lives
    Run.objects.update(lease_owner=of_a_dead_process())
    assert release_leases_of_the_dead() == 1
    assert Run.objects.get().state == "due"


@pytest.mark.parametrize(
    "changed",
    [
        {"boot": "00000000"},  # of another host, or before a reboot
        {"namespace": "1"},  # another container, whose ids mean other processes
    ],
)
def test_those_of_whom_nothing_can_be_known_are_left_to_their_leases(post, clock, changed):
    post(published([(StopRun, {})]), {})
    claim_batch()
    names = ("host", "boot", "namespace", "pid", "start", "random")
    parts = dict(zip(names, of_a_dead_process().split("/"), strict=True))
    Run.objects.update(lease_owner="/".join((parts | changed).values()))
    assert release_leases_of_the_dead() == 0
    Run.objects.update(lease_owner="/".join((parts | {"host": "renamed"}).values()))
    assert release_leases_of_the_dead() == 1  # the name of a host proves nothing


def test_an_owner_of_an_older_version_is_left_to_its_lease():
    assert due.dead_owners(["host/00000000/1/1", ""]) == []


def test_a_fork_is_another_owner_that_is_dead_when_it_has_ended():
    receives, sends = multiprocessing.Pipe(duplex=False)
    with warnings.catch_warnings(action="ignore"):  # of threads that other tests have left
        child = multiprocessing.get_context("fork").Process(
            target=lambda: sends.send((due.owner(), due.dead_owners([parent])))
        )
    parent = due.owner()
    with warnings.catch_warnings(action="ignore"):
        child.start()
    name, dead = receives.recv()
    child.join()
    assert name.split("/")[-1] != parent.split("/")[-1]
    assert dead == []
    assert due.dead_owners([name, parent]) == [name]


def test_dedupe_keys_are_forgotten_after_their_time(clock):
    connector = published([(StopRun, {})])
    for days in (-1, 1):
        DedupeKey.objects.create(
            connector=connector,
            key=str(days),
            event_id=1,
            expires_at=clock.now + timedelta(days=days),
        )
    assert sweep()["forgotten"] == 1
    assert DedupeKey.objects.get().key == "1"


def test_tasks_that_failed_long_ago_are_dropped(clock):
    for days in (29, 31):
        Failure.objects.create(
            id=str(days),
            name=str(days),
            func="x",
            started=clock.now,
            stopped=clock.now - timedelta(days=days),
            success=False,
        )
    assert sweep()["pruned"] == 1
    assert Failure.objects.get().name == "29"


def test_it_tells_how_much_each_part_put_right():
    names = {"released", "missed", "queues", "settled", "abandoned", "forgotten", "pruned"}
    assert sweep() == dict.fromkeys(names, 0)


def test_the_dead_are_buried_alone(queued, clock):
    """What one held is free at once, its lost send is asked about; others keep what is theirs."""
    outbox.queue(queued.channel, ["+4915112345679"], "Ho", key="run:2:1:x")
    first, second = delivery.mark_sending(delivery.claim())
    arrive([delivery.gateway("sandbox").request(first)])
    dead = of_a_dead_process()
    Message.objects.filter(pk=first.pk).update(lease_owner=dead)
    sweeping.bury(dead)
    states = dict(Message.objects.values_list("pk", "state"))
    assert states == {first.pk: Message.State.SENT, second.pk: Message.State.SENDING}


def test_the_schedules_are_made_once():
    ensure_schedule()
    Schedule.objects.update(repeats=3, minutes=7, schedule_type=Schedule.DAILY)
    ensure_schedule()
    told = set(Schedule.objects.values_list("repeats", "minutes", "schedule_type"))
    assert told == {(-1, 1, Schedule.MINUTES)}
    assert set(Schedule.objects.values_list("func", flat=True)) == {
        "apps.engine.sweep.sweep",
        "apps.engine.call_log.prune",
        "apps.core.transfer.files.prune",
        "apps.core.notices.prune",
    }
    assert Schedule.objects.count() == 4


def test_a_part_that_breaks_does_not_stop_the_others(monkeypatch):
    done = []
    monkeypatch.setattr(delivery, "settle_unknown", lambda: 1 / 0)
    monkeypatch.setattr(sweeping, "abandon_stale", lambda: done.append("abandoned") or 0)
    with pytest.raises(ZeroDivisionError):
        sweep()
    assert done == ["abandoned"]
