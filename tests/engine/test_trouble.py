"""The installation refuses to work: runs are put back, and fail only by their own fault."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import OperationalError, ProgrammingError, connection
from psycopg import errors

from apps.actions.kinds.add_note import AddNote
from apps.actions.kinds.stop import StopRun
from apps.core.models import Notice
from apps.core.notices import current
from apps.core.trouble import Trouble, is_installations, kind_of
from apps.crm.models import Note
from apps.engine import calls, group, mending, rounds
from apps.engine.agenda import look
from apps.engine.models import Run
from apps.messaging import outbox
from apps.messaging.models import Message
from tests.factories import ChannelFactory, published
from tests.refusals import refusal

pytestmark = pytest.mark.django_db(transaction=True)


FULL = errors.DiskFull("could not extend file: No space left on device")
TROUBLE = [
    FULL,
    errors.OutOfMemory("out of memory"),
    errors.TooManyConnections("too many clients"),
    errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"),
    errors.IoError("could not read block"),
    errors.LockNotAvailable("canceling statement due to lock timeout"),
    errors.QueryCanceled("canceling statement due to statement timeout"),
]


@pytest.fixture
def refuse(monkeypatch):
    """Let the writing of turns fail as told, for the runs that are chosen."""

    class Refusal:
        error = None
        only = None

    real = group._write

    def write(claims, story):
        real(claims, story)
        hit = Refusal.only is None or any(c.run.pk == Refusal.only for c in claims)
        if Refusal.error is not None and hit:
            raise Refusal.error

    monkeypatch.setattr(group, "_write", write)
    monkeypatch.setattr(mending, "sleep", lambda seconds: None)
    return Refusal


def note():
    return published([(AddNote, {"text": "x"})], mapping={"phone": "{{ event.phone }}"})


def go(clock, rounds_=1, seconds=20):
    for _ in range(rounds_):
        rounds.lanes.resting.clear()
        rounds.round_of_lanes({"runs", "suspects"})
        clock.tick(seconds=seconds)


@pytest.mark.parametrize("error", TROUBLE, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("raw", [False, True], ids=["wrapped", "raw"])
def test_what_the_installation_refuses_is_put_back_and_done_later(post, clock, refuse, error, raw):
    connector = note()
    for n in range(3):
        post(connector, {"phone": f"+49151{n:08d}"})
    refuse.error = error if raw else refusal(error)
    go(clock, rounds_=8)
    assert set(Run.objects.values_list("state", "attempts", "troubles")) == {("due", 0, 0)}
    assert not Note.objects.exists()
    refuse.error = None
    go(clock)
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}
    assert Note.objects.count() == 3


def test_one_notice_says_what_is_wrong(post, clock, refuse, admin_client):
    post(note(), {"phone": "+4915112345678"})
    refuse.error = refusal(FULL)
    go(clock, rounds_=5, seconds=3)
    told = Notice.objects.get()
    assert told.text.startswith("PostgreSQL refuses writes: no space left on its disk.")
    assert current() == told
    assert "no space left" in admin_client.get("/admin/").content.decode()
    clock.tick(minutes=5)
    assert current() is None
    assert "no space left" not in admin_client.get("/admin/").content.decode()


def test_a_run_that_is_refused_alone_while_others_pass_fails_at_the_fifth_time(post, clock, refuse):
    connector = note()
    post(connector, {"phone": "+4915100000000"})
    guilty = Run.objects.get()
    refuse.error = refusal(errors.QueryCanceled("canceling statement due to statement timeout"))
    refuse.only = guilty.pk
    for n in range(4):
        post(connector, {"phone": f"+49151{n + 1:08d}"})
        go(clock, seconds=400)
        guilty.refresh_from_db()
        assert (guilty.state, guilty.troubles) == ("due", n + 1)
    post(connector, {"phone": "+4915188888888"})
    go(clock)
    guilty.refresh_from_db()
    assert guilty.state == "failed"
    assert guilty.error.startswith("It was refused 5 times while others passed: PostgreSQL ended")
    assert Run.objects.filter(state="done").count() == 5


def test_runs_that_there_was_no_time_to_try_alone_are_not_held_guilty(
    post, clock, refuse, monkeypatch
):
    """One passes, one is refused, and for the last one there is no time."""
    connector = note()
    for n in range(3):
        post(connector, {"phone": f"+49151{n:08d}"})
    first, guilty, untried = Run.objects.order_by("pk")
    monkeypatch.setattr(group, "SECONDS", 60)
    refuse.error, refuse.only = refusal(errors.QueryCanceled("statement timeout")), guilty.pk
    alone, now = mending._alone, [0.0]

    def takes_long(claim):
        now[0] += 3.0
        return alone(claim)

    monkeypatch.setattr(mending, "_alone", takes_long)
    monkeypatch.setattr(mending, "uptime", lambda: now[0])
    go(clock)
    found = dict(Run.objects.values_list("pk", "troubles"))
    assert found == {first.pk: 0, guilty.pk: 1, untried.pk: 0}
    assert dict(Run.objects.values_list("pk", "state")) == {
        first.pk: "done",
        guilty.pk: "due",
        untried.pk: "due",
    }


def test_a_drain_that_is_to_end_puts_back_what_it_can_not_do(post, clock, refuse):
    post(note(), {"phone": "+4915100000000"})
    refuse.error = refusal(FULL)
    calls.exchange().closing = True
    go(clock)
    assert Run.objects.values_list("state", "attempts", "troubles").get() == ("due", 0, 0)


def test_a_run_that_moves_starts_to_count_anew(post, clock, refuse):
    connector = note()
    post(connector, {"phone": "+4915100000000"})
    Run.objects.update(troubles=3)
    go(clock)
    assert Run.objects.values_list("state", "troubles").get() == ("done", 0)


def test_no_memory_ends_no_run(post, clock, monkeypatch):
    post(note(), {"phone": "+4915100000000"})

    def perform(self, run):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(AddNote, "perform", perform)
        go(clock)
    assert Run.objects.get().state == "due"
    go(clock)
    assert Run.objects.get().state == "done"


def test_a_lane_that_breaks_does_not_stop_the_others(post, clock, monkeypatch, refuse):
    channel = ChannelFactory()
    outbox.queue(channel, ["+4915112345678"], "Hi", key="test")
    post(published([(StopRun, {})]), {})
    monkeypatch.setattr(rounds.delays, "wake", lambda: 1 / 0)
    monkeypatch.setattr(rounds, "_tell", lambda lane, error: None)
    rounds.round_of_lanes({"delays", "runs", "messages"})
    assert Run.objects.get().state == "stopped"
    rounds.round_of_lanes({"messages"})
    assert Message.objects.get().state == "sent"
    refuse.error = refusal(FULL)
    post(published([(StopRun, {})]), {})
    outbox.queue(channel, ["+4915112345679"], "Hi", key="test")
    rounds.round_of_lanes({"runs", "messages"})
    rounds.round_of_lanes({"messages"})
    assert set(Message.objects.values_list("state", flat=True)) == {"sent"}


def test_a_wrong_statement_is_our_mistake_and_not_the_installations():
    for error in (errors.ProgrammingError("the query has 1 placeholder"), ProgrammingError("x")):
        assert kind_of(error) is None
        assert not is_installations(error)
    assert kind_of(OperationalError("the connection is closed")) is Trouble.GONE


def test_a_lane_that_broke_rests_longer_each_time(clock, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(rounds, "uptime", lambda: now[0])
    monkeypatch.setattr(rounds, "_tell", lambda lane, error: None)
    tried = []
    monkeypatch.setattr(rounds.delays, "wake", lambda: tried.append(now[0]) or 1 / 0)
    while now[0] < 60:
        rounds.round_of_lanes({"delays"})
        now[0] += 0.05
    gaps = [b - a for a, b in pairwise(tried)]
    assert len(tried) < 12
    assert gaps == sorted(gaps)
    assert max(gaps) < rounds.LONGEST_REST + 1


def test_upkeep_that_breaks_is_told_and_stops_no_lane(post, clock, monkeypatch):
    def refuses(idle):
        raise refusal(errors.ReadOnlySqlTransaction("cannot execute UPDATE"))

    monkeypatch.setattr(rounds.upkeep, "when_due", refuses)
    post(published([(StopRun, {})]), {})
    rounds.upkeep_if_due()
    assert current().text.startswith("PostgreSQL is read-only")
    rounds.round_of_lanes({"runs"})
    assert Run.objects.get().state == "stopped"


@pytest.fixture
def widen(is_postgresql):
    """Let somebody else change the type of a column, as a migration may; it is changed back."""
    if not is_postgresql:
        pytest.skip("SQLite keeps no plans")
    other = connection.copy()

    def run_error(length):
        with other.cursor() as cursor:
            cursor.execute(f"ALTER TABLE engine_run ALTER COLUMN error TYPE varchar({length})")

    yield lambda: run_error(301)
    run_error(300)
    other.close()


def test_a_table_that_is_changed_under_a_worker_is_looked_at_anew(post, widen):
    connector = note()
    for n in range(8):  # what comes so often is prepared by then
        post(connector, {"phone": f"+49151{n:08d}"})
        rounds.round_of_lanes({"runs"})
    widen()
    connection.close_at = None  # as in a worker, which keeps its connection
    post(connector, {"phone": "+4915199999999"})
    for _ in range(3):
        rounds.lanes.resting.clear()
        rounds.round_of_lanes({"runs"})
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}


def test_copy_errors_are_those_that_django_knows(is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has no COPY")
    from django.db import DataError

    from apps.core import rows
    from apps.engine.models import Attempt

    broken = [Attempt(run_id=1, kind="x" * 41, label="x", result="done") for _ in range(2)]
    with pytest.raises(DataError):
        rows.insert(broken)
    assert connection.ensure_connection() is None


def test_a_run_that_was_put_off_hides_no_other_suspect(post, clock):
    connector = note()
    for n in range(2):
        post(connector, {"phone": f"+49151{n:08d}"})
    first, _ = Run.objects.order_by("pk")
    Run.objects.update(attempts=1)
    Run.objects.filter(pk=first.pk).update(wake_at=clock.now + timedelta(minutes=5))
    assert "suspects" in look().due()
