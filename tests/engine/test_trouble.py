"""The installation refuses to work: runs are put back, and fail only by their own fault."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, ProgrammingError, connection
from django.utils.html import escape
from psycopg import errors

from apps.actions.kinds.add_note import AddNote
from apps.actions.kinds.stop import StopRun
from apps.core.models import Notice
from apps.core.notices import current
from apps.core.trouble import Trouble, is_installations, kind_of
from apps.crm.models import Note
from apps.engine import calls, group, intake, mending, rounds, turn
from apps.engine.agenda import look
from apps.engine.models import Run
from apps.messaging import delivery, outbox
from apps.messaging.models import BlacklistEntry, Message
from tests.factories import ChannelFactory, published

pytestmark = pytest.mark.django_db(transaction=True)


def refusal(error):
    """As Django raises what psycopg raised."""
    wrapped = OperationalError(str(error))
    wrapped.__cause__ = error
    return wrapped


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


def read_only():
    return refusal(
        errors.ReadOnlySqlTransaction("cannot execute UPDATE in a read-only transaction")
    )


def test_upkeep_that_breaks_is_told_and_stops_no_lane(post, clock, monkeypatch):
    def refuses():
        raise read_only()

    monkeypatch.setattr(rounds.upkeep, "when_due", refuses)
    post(published([(StopRun, {})]), {})
    rounds.upkeep_if_due()
    assert current().text.startswith("PostgreSQL is read-only")
    rounds.round_of_lanes({"runs"})
    assert Run.objects.get().state == "stopped"


def test_that_nothing_can_be_written_is_seen_without_a_notice(is_postgresql, admin_client):
    if not is_postgresql:
        pytest.skip("what SQLite may write is seen by its workers")
    assert current() is None
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        page = admin_client.get("/admin/").content.decode()
        assert current().text.startswith("PostgreSQL is read-only")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
    assert "PostgreSQL is read-only" in page
    assert '<a href="/admin/core/notice/">Notices</a>' in page
    assert current() is None


LONG = "PostgreSQL can't read its files: look at its disk. " + "(could not read block 7) " * 9


def test_all_of_what_is_wrong_stands_on_each_page_for_whoever_is_in(admin_client, client):
    Notice.objects.create(text=LONG.strip())
    said = escape(LONG.strip())
    for page in ("/admin/", "/admin/engine/run/", "/admin/core/notice/"):
        assert said in admin_client.get(page).text
    assert said not in client.get("/admin/login/").text
    client.force_login(User.objects.create_user("mia", is_staff=True))
    shown = client.get("/admin/").text
    assert said in shown and "/admin/core/notice/" not in shown


def test_a_page_that_meets_trouble_says_so(admin_client, monkeypatch):
    def refuse(*_: object) -> None:
        raise refusal(errors.DiskFull("no space left on device"))

    monkeypatch.setattr("apps.crm.models.Tag.save", refuse)
    admin_client.raise_request_exception = False
    answer = admin_client.post("/admin/crm/tag/add/", {"name": "x"})
    assert answer.status_code == 503
    assert "Something is wrong" in answer.text and "no space left on its disk" in answer.text


def test_on_the_way_in_nobody_is_told_what_is_wrong(client, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise refusal(errors.DiskFull("no space left on device"))

    User.objects.create_user("mia", password="pw", is_staff=True)
    monkeypatch.setattr(User, "save", refuse)
    client.raise_request_exception = False
    answer = client.post("/admin/login/", {"username": "mia", "password": "pw"})
    assert answer.status_code == 503
    assert "Something is wrong" in answer.text and "disk" not in answer.text


def test_a_mistake_of_ours_is_not_blamed_on_the_installation(admin_client, monkeypatch):
    monkeypatch.setattr("apps.crm.models.Tag.save", lambda *_: 1 / 0)
    admin_client.raise_request_exception = False
    answer = admin_client.post("/admin/crm/tag/add/", {"name": "x"})
    assert answer.status_code == 500 and "a mistake in the program" in answer.text


def test_a_wrong_statement_is_our_mistake_and_not_the_installations():
    for error in (errors.ProgrammingError("the query has 1 placeholder"), ProgrammingError("x")):
        assert kind_of(error) is None
        assert not is_installations(error)
    assert kind_of(OperationalError("the connection is closed")) is Trouble.GONE


OUTDATED = errors.FeatureNotSupported("cached plan must not change result type")


@pytest.mark.parametrize("broken", ["accept", "page"])
def test_a_web_process_connects_anew_when_a_table_was_changed_under_it(
    post, admin_client, monkeypatch, broken, is_postgresql
):
    if not is_postgresql:
        pytest.skip(
            "SQLite has no plans that outlive a change, and its tests no connection to close"
        )

    def fail(*args, **kwargs):
        raise refusal(OUTDATED)

    connector = published([(StopRun, {})])
    admin_client.raise_request_exception = False
    with monkeypatch.context() as patch:
        if broken == "accept":
            patch.setattr(intake, "accept", fail)
            assert post(connector, {}).status_code == 503
        else:
            patch.setattr(Run, "get_state_display", fail)
            post(connector, {})
            assert admin_client.get("/admin/engine/run/").status_code == 503
        assert connection.connection is None
    assert post(connector, {}).status_code == 202


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


def test_a_late_send_harms_nobody(clock, monkeypatch):
    """A worker that was stopped between the mark and its request does not send any more."""
    from apps.messaging.sandbox.models import PhoneMessage
    from apps.messaging.settling import settle_by_hand

    outbox.queue(ChannelFactory(), ["+4915112345678"], "Pay now", key="test")
    taken = delivery.claim()
    clock.tick(seconds=70)
    Message.expire()
    delivery.send(taken)
    assert not PhoneMessage.objects.exists()
    assert Message.objects.get().state == "queued"
    mine = delivery.mark_sending(delivery.claim())
    clock.tick(seconds=70)
    assert Message.expire() == 1
    assert settle_by_hand([mine[0].pk], sent=False, who="ana")
    delivery.ask_again(mine[0], delivery.Again(timedelta(), "late"))
    assert Message.objects.get().state == "failed"
    assert turn.take_turn() == 0


def test_a_late_send_to_the_phone_does_not_leave(clock, monkeypatch):
    """Nor is it unknown what became of it: whoever was late knows."""
    from apps.messaging.sandbox.models import PhoneMessage

    outbox.queue(ChannelFactory(), ["+4915112345678"], "Pay now", key="test")
    monkeypatch.setattr(delivery, "uptime", lambda: -100.0)
    delivery.turn()
    assert not PhoneMessage.objects.exists()
    clock.tick(seconds=70)
    assert Message.expire() == 1
    assert Message.objects.get().state == "unknown"
    delivery.turn(claims=False)
    assert Message.objects.get().state == "failed"
    assert Message.objects.get().reason.startswith("It was not accepted: It did not leave")


def test_who_was_stopped_before_it_asked_says_nothing_of_what_others_send(clock):
    """The address was on the blacklist, and is not any more when another worker sends."""
    channel = ChannelFactory()
    outbox.queue(channel, ["+4915112345678"], "Hi", key="test")
    (stale,) = delivery.claim()
    clock.tick(seconds=70)
    Message.expire()
    (fresh,) = delivery.mark_sending(delivery.claim())
    BlacklistEntry.objects.create(channel=channel, address="+4915112345678")
    assert delivery.judge_again([stale]) == []
    assert Message.objects.get().state == "sending"
    delivery.settle(fresh, Message.State.SENT, provider_id="p-1")
    assert Message.objects.get().state == "sent"


def test_a_run_that_was_put_off_hides_no_other_suspect(post, clock):
    connector = note()
    for n in range(2):
        post(connector, {"phone": f"+49151{n:08d}"})
    first, _ = Run.objects.order_by("pk")
    Run.objects.update(attempts=1)
    Run.objects.filter(pk=first.pk).update(wake_at=clock.now + timedelta(minutes=5))
    assert "suspects" in look().due()
