"""The clock: hands out a drain when something is due, at most as many as there may be."""

import pytest
from django.test import override_settings
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from apps.actions.kinds.delay import Delay
from apps.actions.kinds.stop import StopRun
from apps.engine import broker as broker_module
from apps.engine.agenda import earliest_due
from apps.engine.broker import BUSY_PAUSE, DRAIN, LEAD, DueBroker
from apps.engine.drain import drain as drain_task
from apps.engine.drain import floor
from apps.messaging.models import Message
from tests.factories import ChannelFactory, published

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(monkeypatch):
    floor.reset()
    waits = []
    clock = DueBroker("switchboard")
    monkeypatch.setattr(broker_module, "listen", lambda: None)
    monkeypatch.setattr(clock, "_wait", waits.append)
    monkeypatch.setattr(clock, "_rest", waits.append)
    clock.waits = waits
    yield clock
    floor.reset()


def test_nothing_due_waits_a_second_at_most(broker):
    assert broker.dequeue() is None
    assert broker.waits == [1.0]


def test_a_due_run_is_a_drain(broker, post):
    post(published([(StopRun, {})]), {})
    ((task_id, package),) = broker.dequeue()
    assert task_id == DRAIN
    assert SignedPackage.loads(package)["func"] == "apps.engine.drain.drain"
    assert floor.drains.value == 1
    drain_task()
    assert floor.drains.value == 0
    assert broker.dequeue() is None


@override_settings(DRAINS=2)
def test_a_drain_that_is_there_gets_the_chance_to_find_it_itself(broker, post, clock):
    post(published([(StopRun, {})]), {})
    assert broker.dequeue()
    assert broker.dequeue() is None
    assert broker.waits[-1] == pytest.approx(LEAD)
    clock.tick(seconds=LEAD)
    assert broker.dequeue()
    assert floor.drains.value == 2


@override_settings(DRAINS=1)
def test_no_more_drains_than_allowed(broker, post):
    post(published([(StopRun, {})]), {})
    assert broker.dequeue()
    assert broker.dequeue() is None
    assert broker.waits[-1] == BUSY_PAUSE


def test_a_delay_is_waited_for_to_the_moment(broker, post, clock, drain):
    post(published([(Delay, {"amount": 1, "unit": "minutes"})]), {})
    drain()
    clock.tick(seconds=59.75)
    assert broker.dequeue() is None
    assert broker.waits[-1] == pytest.approx(0.25)
    clock.tick(seconds=0.25)
    assert broker.dequeue()


def test_a_drain_that_found_nothing_is_not_repeated_at_once(broker, post, monkeypatch):
    post(published([(StopRun, {})]), {})
    monkeypatch.setattr("apps.engine.drain.round_of_lanes", lambda due: 0)
    assert broker.dequeue()
    drain_task()
    assert broker.dequeue() is None
    assert 0 < broker.waits[-1] <= 0.1


def test_messages_of_a_switched_off_channel_ring_no_bell(broker, clock):
    message = {"address": "+4915112345678", "text": "Hi", "wake_at": clock.now}
    channel = ChannelFactory(enabled=False)
    Message.objects.create(channel=channel, **message)
    assert earliest_due() is None
    channel.enabled = True
    channel.save()
    assert earliest_due() == clock.now


def test_ordinary_tasks_go_through(broker):
    async_task("apps.engine.sweep.sweep", broker=broker)
    ((task_id, _),) = broker.dequeue()
    assert OrmQ.objects.filter(pk=task_id).exists()
    broker.acknowledge(task_id)
    assert not OrmQ.objects.exists()
    assert broker.acknowledge(DRAIN) is None


def test_a_database_that_goes_away_is_survived(broker, monkeypatch):
    from django.db import OperationalError

    def gone():
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(broker_module, "earliest_due", gone)
    monkeypatch.setattr(broker_module, "sleep", lambda seconds: None)
    monkeypatch.setattr(broker_module.connection, "close", lambda: None)
    monkeypatch.setattr(broker_module.db, "close_old_connections", lambda: None)
    assert broker.dequeue() is None
