"""Two connections at the same runs and contacts: who locks what, and in which order."""

from contextlib import contextmanager
from math import inf
from threading import Event

import pytest
from django.db import OperationalError, connection, transaction

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.http_api import HttpApi
from apps.core.http.outgoing import outgoing
from apps.crm.models import Contact, ContactTag
from apps.engine import calls, delays, order, rounds
from apps.engine.cancel import cancel_runs
from apps.engine.claims import claim_batch
from apps.engine.models import Attempt, Delay, Run
from tests.engine.ordered import A_DAY, ANA, BEN, MAPPING, TAG, acted, held_after, in_order
from tests.factories import ContactFactory, published
from tests.locks import Other, meanwhile

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def two_writers(is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has one writer")


@pytest.mark.django_db
def test_the_runs_of_a_turn_come_to_their_contacts_in_one_order(post, drain, clock, monkeypatch):
    """Or two turns with the same contacts, the other way round, lock each other out."""
    contacts = [ContactFactory(phone=phone) for phone in (ANA, BEN, "+4915100000003")]
    connector = published([(DelayAction, {"amount": 1}), TAG], mapping=MAPPING)
    for contact in contacts[::-1] * 2:
        post(connector, {"phone": contact.phone, "tag": "x"})
        drain()
    met, real = [], AddTag.perform
    monkeypatch.setattr(
        AddTag, "perform", lambda self, run: met.append(run.contact.pk) or real(self, run)
    )
    clock.tick(hours=1)
    drain()
    assert met == [contact.pk for contact in contacts for _ in range(2)]


def test_whoever_cancels_a_run_waits_for_the_turn_that_performs_it(
    two_writers, post, drain, monkeypatch
):
    post(published([TAG], mapping=MAPPING), {"phone": ANA, "tag": "x"})
    others, real = [], AddTag.perform

    def slowly(self, run):
        others.append(Other(lambda: cancel_runs([run.run.pk], "By hand")))
        others[0].gets_as_far_as_it_can()
        return real(self, run)

    monkeypatch.setattr(AddTag, "perform", slowly)
    drain()
    assert [other.result() for other in others] == [0]
    assert Run.objects.get().state == "done"
    assert not Attempt.objects.filter(result="cancelled").exists()


def test_whoever_ends_a_run_sees_those_that_are_being_held_behind_it(
    two_writers, send, drain, clock, monkeypatch
):
    """Or nobody would wake them: neither saw the other's change."""
    connector = in_order(TAG, A_DAY)
    (first,) = send(connector, ANA)
    drain()
    others, real = [], order.Lines.write

    def slowly(lines):
        real(lines)
        if not others and Delay.objects.filter(state="waiting", action_uid=None).exists():
            others.append(Other(lambda: cancel_runs([first.pk], "By hand")))
            others[0].gets_as_far_as_it_can()

    monkeypatch.setattr(order.Lines, "write", slowly)
    (second,) = send(connector, ANA)
    drain()
    assert [other.result() for other in others] == [1]
    drain()
    assert held_after(second) is None
    assert acted().count(second.pk) == 2


def test_a_lock_that_is_not_given_in_time_is_nobodys_guilt(
    two_writers, post, drain, clock, monkeypatch
):
    ContactFactory(phone=ANA)
    post(published([TAG], mapping=MAPPING), {"phone": ANA, "tag": "x"})
    held, enough, refused, real = Event(), Event(), [], AddTag.perform

    def hold():
        with transaction.atomic():
            Contact.objects.select_for_update().get()
            held.set()
            assert enough.wait(30)

    def perform(self, run):
        try:
            return real(self, run)
        except OperationalError:
            refused.append(run)
            if len(refused) == 3:
                enough.set()
            raise

    monkeypatch.setattr(AddTag, "perform", perform)
    # For new connections, too: one that had trouble is closed.
    options = connection.settings_dict["OPTIONS"]
    impatient = f"{options.get('options', '')} -c lock_timeout=20ms".strip()
    monkeypatch.setitem(options, "options", impatient)
    connection.close()
    try:
        with meanwhile(hold):
            assert held.wait(30)
            for _ in range(10):
                rounds.lanes.resting.clear()
                drain()
                clock.tick(minutes=1)
            enough.set()
    finally:
        connection.close()
    assert len(refused) == 3
    assert (Run.objects.get().state, ContactTag.objects.count()) == ("done", 1)
    assert not Attempt.objects.filter(result="failed").exists()


# --- what somebody holds for long


@pytest.fixture
def impatient(monkeypatch):
    """As a drain's connections are, and more so."""
    options = connection.settings_dict["OPTIONS"]
    asked = f"{options.get('options', '')} -c lock_timeout=20ms".strip()
    monkeypatch.setitem(options, "options", asked)
    connection.close()
    yield
    connection.close()


@contextmanager
def locked(run):
    """Somebody has locked this run in a transaction that does not end: its process hangs."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM engine_run WHERE id = %s FOR UPDATE", [run.pk])
        yield
    finally:
        other.rollback()
        other.close()


def test_a_locked_run_that_has_its_answer_holds_up_no_other(
    two_writers, outside, server, post, drain, impatient
):
    ask = (HttpApi, {"label": "Ask", "method": "POST", "url": server.url})
    connector = published([ask])
    for n in range(3):
        post(connector, {"n": n})
    rounds.round_of_lanes({"runs"})
    first = Run.objects.earliest("pk")
    while len(server.asked) < 3:
        outgoing().wait(0.1)
    with locked(first):
        post(published([TAG], mapping=MAPPING), {"phone": ANA, "tag": "x"})
        for _ in range(5):
            outgoing().wait(0.2)
            rounds.lanes.resting.clear()
            rounds.round_of_lanes({"runs"})
        states = dict(Run.objects.values_list("pk", "state"))
        assert states.pop(first.pk) == "leased"
        assert set(states.values()) == {"done"}
    for flight in calls.exchange()._flights.values():
        flight.rests_until = 0.0
    drain()
    first.refresh_from_db()
    assert (first.state, len(server.asked)) == ("done", 3)


def test_a_locked_run_that_nobody_has_in_hand_is_put_back_later(
    two_writers, post, drain, impatient
):
    post(published([TAG], mapping=MAPPING), {"phone": ANA, "tag": "x"})
    (run,) = claim_batch(1)
    with locked(run):
        assert rounds.recover() == 0
        assert rounds.lanes.recovers_at < inf
    rounds.lanes.recovers_at = 0.0
    rounds.round_of_lanes(())
    drain()
    assert (Run.objects.get().state, rounds.lanes.recovers_at) == ("done", inf)


def test_a_locked_sleeper_keeps_no_other_asleep(
    two_writers, post, drain, clock, impatient, monkeypatch
):
    monkeypatch.setattr(delays, "_careful_until", 0.0)
    connector = published([(DelayAction, {"amount": 1}), TAG], mapping=MAPPING)
    for phone in (ANA, BEN):
        post(connector, {"phone": phone, "tag": "x"})
    drain()
    first, second = Run.objects.order_by("pk")
    clock.tick(hours=1)
    with locked(first):
        drain()
        second.refresh_from_db()
        assert second.state == "done"
    drain()
    first.refresh_from_db()
    assert first.state == "done"


def test_a_locked_run_keeps_no_other_in_its_queue(
    two_writers, outside, server, post, drain, clock, impatient, settings
):
    settings.HTTP_PER_MINUTE = 1
    ask = {"label": "Ask", "method": "POST", "url": server.url, "over_limit": "wait"}
    connector = published([(HttpApi, ask)])
    for n in range(3):
        post(connector, {"n": n})
        drain()
    _, second, third = Run.objects.order_by("pk")
    clock.tick(seconds=61)
    with locked(second):
        drain()
        third.refresh_from_db()
        assert third.state == "done"
    clock.tick(seconds=61)
    drain()
    second.refresh_from_db()
    assert second.state == "done"


def test_a_locked_lease_that_has_run_out_keeps_no_other(two_writers, post, clock, impatient):
    for _ in range(2):
        post(published([TAG], mapping=MAPPING), {"phone": ANA, "tag": "x"})
    first, second = claim_batch(2)
    clock.tick(seconds=61)
    with locked(first):
        assert Run.expire() == 1
        assert dict(Run.objects.values_list("pk", "state")) == {
            first.pk: "leased",
            second.pk: "due",
        }
    assert Run.expire() == 1
