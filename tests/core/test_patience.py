"""What an operator asks for is done again when it met a worker's locks, and never ends as an error
page for that."""

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.urls import reverse

from apps.actions.kinds.delay import Delay as DelayAction
from apps.builder import connectors
from apps.connectors.models import Connector
from apps.core import patience
from apps.core.patience import BUSY, TRIES, Busy, Collided, patiently
from apps.crm import erasing, merging
from apps.crm.models import Contact, Merge, Tag
from apps.engine import again
from apps.engine.admin import runs
from apps.engine.models import Run
from tests.factories import ContactFactory, published

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def paused(monkeypatch):
    """How long it paused, without doing so."""
    pauses = []
    monkeypatch.setattr(patience, "sleep", pauses.append)
    return pauses


def met(kind=psycopg.errors.DeadlockDetected):
    try:
        raise OperationalError("deadlock detected") from kind("deadlock detected")
    except OperationalError as error:
        return error


def failing(times, error=None):
    """Writes a tag, and breaks so many times after that."""
    left = [times]

    def work():
        made = Tag.objects.create(name=f"Try {left[0]}")
        if left[0]:
            left[0] -= 1
            raise error or met()
        return made.name

    return work


@pytest.mark.parametrize(
    "error",
    [
        met(),
        met(psycopg.errors.SerializationFailure),
        met(psycopg.errors.LockNotAvailable),
        OperationalError("database is locked"),
        Collided(),
    ],
)
def test_it_is_done_again_as_a_whole(error, paused):
    assert patiently(failing(2, error)) == "Try 0"
    assert list(Tag.objects.values_list("name", flat=True)) == ["Try 0"]
    assert paused == [0.05, 0.1]


def test_in_the_end_it_says_to_try_again(paused):
    with pytest.raises(Busy, match="try again in a moment"):
        patiently(failing(TRIES))
    assert len(paused) == TRIES - 1
    assert not Tag.objects.exists()


def test_any_other_error_is_nobody_elses_fault(paused):
    for error in (ValueError("no"), OperationalError("disk I/O error")):
        with pytest.raises(type(error)), transaction.atomic():
            patiently(failing(1, error))
    assert paused == []


# --- the pages


def meets(monkeypatch, module, name, times):
    real, left = getattr(module, name), [times]

    def work(*args, **kwargs):
        if left[0]:
            left[0] -= 1
            raise met()
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, work)


def text_of(answer):
    return " ".join(answer.content.decode().split())


@pytest.fixture
def merge_page():
    survivor, loser = ContactFactory(name="Ana"), ContactFactory(name="Anna")
    return reverse("admin:crm_contact_merge", args=[survivor.pk, loser.pk])


@pytest.mark.parametrize("times", [1, TRIES - 1])
def test_merging_meets_a_deadlock(admin_client, merge_page, monkeypatch, times):
    meets(monkeypatch, merging, "merge", times)
    answer = admin_client.post(merge_page, {"confirmed": 1}, follow=True)
    assert "was merged into this contact" in text_of(answer)
    assert Merge.objects.count() == 1


def test_merging_meets_one_each_time(admin_client, merge_page, monkeypatch):
    meets(monkeypatch, merging, "merge", TRIES)
    answer = admin_client.post(merge_page, {"confirmed": 1}, follow=True)
    assert answer.status_code == 200
    # The page that asked, with the sentence.
    assert BUSY in text_of(answer) and "One contact stays" in text_of(answer)
    assert not Merge.objects.exists()


def test_undoing_and_deleting_meet_one(admin_client, merge_page, monkeypatch):
    admin_client.post(merge_page, {"confirmed": 1})
    undo = reverse("admin:crm_contact_undo", args=[Merge.objects.get().pk])
    meets(monkeypatch, merging, "undo", TRIES + 1)
    assert BUSY in text_of(admin_client.post(undo, {"confirmed": 1}, follow=True))
    assert "was undone" in text_of(admin_client.post(undo, {"confirmed": 1}, follow=True))
    ana = Contact.objects.get(name="Ana")
    delete = reverse("admin:crm_contact_delete", args=[ana.pk])
    meets(monkeypatch, erasing, "delete_contact", 2)
    admin_client.post(delete, {"confirmed": 1})
    assert not Contact.objects.filter(pk=ana.pk).exists()


def test_errors_of_another_kind_are_not_hidden(admin_client, merge_page, monkeypatch):
    monkeypatch.setattr(merging, "merge", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        admin_client.post(merge_page, {"confirmed": 1})


def test_cancelling_a_run_running_it_again_and_deleting_its_connector_meet_one(
    admin_client, post, drain, monkeypatch
):
    connector = published([(DelayAction, {"amount": 1})])
    post(connector, {})
    drain()
    run = Run.objects.get()
    cancel = reverse("admin:engine_run_cancel", args=[run.pk])
    meets(monkeypatch, runs, "cancel_runs", TRIES + 1)
    assert BUSY in text_of(admin_client.post(cancel, {"confirmed": 1}, follow=True))
    answer = admin_client.post(cancel, {"confirmed": 1}, follow=True)
    assert f"Run {run.pk} was cancelled." in text_of(answer)
    meets(monkeypatch, again, "start", 1)
    page = reverse("admin:engine_run_again", args=[run.pk])
    seen = {"confirmed": 1, "seen": f"{run.pk}:1"}
    assert "in pass 2" in text_of(admin_client.post(f"{page}?from=0", seen, follow=True))
    meets(monkeypatch, connectors, "cancel_open", TRIES + 2)
    delete = reverse("admin:connectors_connector_delete", args=[connector.pk])
    assert BUSY in text_of(admin_client.post(delete, {"post": "yes"}, follow=True))
    assert Connector.objects.filter(pk=connector.pk).exists()
    admin_client.post(delete, {"post": "yes"}, follow=True)
    assert not Connector.objects.exists()
    assert Run.objects.get().state == "cancelled"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_stands_still_is_ended():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite knows when a process ends")
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("1min",)
