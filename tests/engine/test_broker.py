"""The broker carries ordinary tasks, and nothing that happens to its connection ends it."""

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection
from django_q.models import OrmQ
from django_q.tasks import async_task

from apps.engine import broker as broker_module
from apps.engine.broker import LOOKS_EVERY, PatientBroker

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(monkeypatch):
    made = PatientBroker("switchboard")
    made.pauses = []
    monkeypatch.setattr(broker_module, "sleep", made.pauses.append)
    return made


def test_nothing_to_do_is_one_cheap_look_a_second(broker, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert broker.dequeue() is None
    assert broker.pauses == [LOOKS_EVERY]


def test_ordinary_tasks_go_through(broker):
    async_task("apps.engine.sweep.sweep", broker=broker)
    ((task_id, _),) = broker.dequeue()
    assert broker.pauses == []
    assert broker.dequeue() is None  # it is somebody's
    assert OrmQ.objects.filter(pk=task_id).exists()
    broker.acknowledge(task_id)
    assert not OrmQ.objects.exists()


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("server closed the connection"),
        InterfaceError("connection already closed"),
        psycopg.OperationalError("consuming input failed"),
        psycopg.errors.AdminShutdown("terminating connection"),
    ],
)
@pytest.mark.parametrize("part", ["look", "take", "delete"])
def test_a_connection_that_is_cut_ends_nothing(broker, monkeypatch, error, part):
    async_task("apps.engine.sweep.sweep", broker=broker)
    closed = []
    monkeypatch.setattr(broker_module.connection, "close", lambda: closed.append(True))

    def cut(*args, **kwargs):
        raise error

    where = {"look": "exists", "take": "update", "delete": "delete"}[part]
    with monkeypatch.context() as patch:
        patch.setattr("django.db.models.query.QuerySet." + where, cut)
        if part == "delete":
            assert broker.acknowledge(1) is None
        else:
            assert broker.dequeue() is None
            assert broker.pauses == [LOOKS_EVERY]
    assert closed == [True]
    assert broker.dequeue()


@pytest.mark.django_db(transaction=True)
def test_it_goes_on_with_a_new_connection(broker, is_postgresql):
    if not is_postgresql:
        pytest.skip("a connection is a file here")
    async_task("apps.engine.sweep.sweep", broker=broker)
    with psycopg.connect(**_parameters(), autocommit=True) as other:
        pid = connection.connection.info.backend_pid
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert broker.dequeue() is None
    assert len(broker.dequeue()) == 1


def _parameters():
    names = ("host", "port", "user", "password", "dbname")
    given = connection.get_connection_params()
    return {name: given[name] for name in names if name in given}
