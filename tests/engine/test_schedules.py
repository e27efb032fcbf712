"""The event source *schedule*: one event at each of its times, neither lost nor made twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.stop import StopRun
from apps.connectors.models import Connector
from apps.core.models import Installation
from apps.crm.models import ContactTag
from apps.engine import schedules, sources
from apps.engine.agenda import look
from apps.engine.drain import until_due
from apps.engine.models import Delay as DelayRow
from apps.engine.models import Event, Run, Schedule
from tests.engine.test_plans import assert_only_by_index, plans_of, series
from tests.factories import ConnectorFactory, published

pytestmark = pytest.mark.django_db


def schedule(connector, cron="0 9 * * *", **columns):
    columns = {"name": "Mornings", "timezone": "UTC", **columns}
    made = Schedule(connector=connector, cron=cron, **columns)
    schedules.plan(made)
    made.save()
    return made


@pytest.fixture
def connector():
    return published([(StopRun, {})])


def until(clock, text):
    clock.now = datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_at_its_time_it_makes_an_event_and_a_run(drain, clock, admin_client):
    tags = "{{ event.list }}, at {{ event.scheduled_at }}"
    connector = published([(AddTag, {"new_tags": tags})], mapping={"phone": "{{ event.phone }}"})
    made = schedule(connector, payload='{"phone": "+4915112345678", "list": "weekly"}')
    until(clock, "2026-03-03 08:59:59")
    drain()
    assert not Event.objects.exists()
    clock.tick(seconds=1)
    drain()
    event, run = Event.objects.get(), Run.objects.get()
    assert (event.source, event.state) == ("schedule", "accepted")
    assert event.payload == {
        "phone": "+4915112345678",
        "list": "weekly",
        "schedule": "Mornings",
        "scheduled_at": "2026-03-03T09:00:00+00:00",
        "missed": 0,
    }
    assert (run.state, run.revision_id) == ("done", connector.published_id)
    assert ContactTag.objects.filter(tag__name="at 2026-03-03T09:00:00+00:00").exists()
    made.refresh_from_db()
    assert made.next_at == datetime(2026, 3, 4, 9, tzinfo=UTC)
    assert (made.last_run_id, made.note, made.missed) == (run.pk, "", 0)
    drain()
    assert Event.objects.count() == 1
    page = admin_client.get(reverse("admin:engine_event_change", args=[event.pk])).text
    assert "Schedule" in page and "Mornings" in page


def test_its_timezone_counts(connector, drain, clock):
    schedule(connector, timezone="America/New_York")
    until(clock, "2026-03-02 13:59")
    drain()
    assert not Run.objects.exists()
    until(clock, "2026-03-02 14:00")
    drain()
    assert Event.objects.get().payload["scheduled_at"] == "2026-03-02T09:00:00-05:00"


def test_it_is_waited_for_to_the_moment(connector, clock):
    schedule(connector, "1 12 * * *")
    clock.tick(seconds=59.75)
    assert until_due(look()) == pytest.approx(0.25)
    clock.tick(seconds=0.25)
    assert "schedules" in look().due()


def test_missed_times_are_made_up_for_by_one_run(connector, drain, clock, admin_client):
    made = schedule(connector)
    until(clock, "2026-03-06 17:30")
    drain()
    event = Event.objects.get()
    assert event.payload["scheduled_at"] == "2026-03-06T09:00:00+00:00"
    assert event.payload["missed"] == 3
    assert Run.objects.count() == 1
    made.refresh_from_db()
    assert made.next_at == datetime(2026, 3, 7, 9, tzinfo=UTC)
    page = admin_client.get(reverse("admin:engine_event_change", args=[event.pk])).text
    assert "3 earlier times were missed" in page


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"enabled": False}, "Not run: the connector is switched off."),
        ({"published": None}, "Not run: the connector has not been published yet."),
    ],
)
def test_a_connector_that_takes_no_events_gets_none(connector, drain, clock, columns, why):
    Connector.objects.filter(pk=connector.pk).update(**columns)
    made = schedule(connector)
    until(clock, "2026-03-03 09:00")
    drain()
    assert not Event.objects.exists() and not Run.objects.exists()
    made.refresh_from_db()
    assert (made.note, made.enabled) == (why, True)
    assert made.next_at == datetime(2026, 3, 4, 9, tzinfo=UTC)
    # What passed meanwhile is not made up for.
    Connector.objects.filter(pk=connector.pk).update(
        enabled=True, published=connector.revisions.get()
    )
    until(clock, "2026-03-04 09:00")
    drain()
    assert Event.objects.get().payload["missed"] == 0


@pytest.mark.parametrize("columns", [{"enabled": False}, {"published": None}])
def test_times_that_passed_while_nothing_would_have_run_were_not_missed(
    connector, drain, clock, columns
):
    made = schedule(connector)
    Connector.objects.filter(pk=connector.pk).update(**columns)
    until(clock, "2026-03-06 17:30")
    drain()
    made.refresh_from_db()
    assert (made.last_at, made.last_run) == (datetime(2026, 3, 6, 9, tzinfo=UTC), None)
    assert made.missed == 0


def test_a_switched_off_schedule_never_comes(connector, drain, clock):
    made = schedule(connector, enabled=False)
    assert made.next_at is None and look().earliest is None
    until(clock, "2026-04-01 09:00")
    drain()
    assert not Event.objects.exists()


def test_what_is_switched_on_always_has_a_time(connector, clock):
    made = schedule(connector)
    with pytest.raises(IntegrityError), transaction.atomic():
        Schedule.objects.filter(pk=made.pk).update(next_at=None)


def test_it_goes_with_its_connector(connector, drain, clock, admin_client):
    schedule(connector)
    page = reverse("admin:connectors_connector_delete", args=[connector.pk])
    admin_client.post(page, {"post": "yes"})
    assert not Schedule.objects.exists()
    until(clock, "2026-03-03 09:00")
    drain()
    assert not Event.objects.exists()


def test_what_breaks_halfway_happens_again_as_a_whole(connector, clock, monkeypatch):
    made = schedule(connector)
    until(clock, "2026-03-03 09:00")
    real = sources.start

    def killed(*arguments, **more):
        real(*arguments, **more)
        raise SystemExit

    monkeypatch.setattr(schedules.sources, "start", killed)
    with pytest.raises(SystemExit), transaction.atomic():
        schedules.fire()
    assert not Event.objects.exists() and not Run.objects.exists()
    monkeypatch.setattr(schedules.sources, "start", real)
    assert schedules.fire() == 1
    assert schedules.fire() == 0
    assert Event.objects.count() == Run.objects.count() == 1
    made.refresh_from_db()
    assert made.next_at == datetime(2026, 3, 4, 9, tzinfo=UTC)


def test_another_worker_that_saw_it_due_finds_it_moved_on(connector, clock):
    made = schedule(connector)
    until(clock, "2026-03-03 09:00")
    assert schedules._fire(made.pk) is True
    assert schedules._fire(made.pk) is False
    assert Event.objects.count() == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_make_each_event_once(connector, clock, is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has one writer")
    for number in range(30):
        schedule(connector, name=f"Number {number}")
    until(clock, "2026-03-03 09:00")

    def work(_):
        try:
            return schedules.fire()
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as workers:
        assert sum(workers.map(work, range(6))) == 30
    names = [event.payload["schedule"] for event in Event.objects.all()]
    assert len(names) == len(set(names)) == Run.objects.count() == 30


def test_one_that_cannot_be_read_any_more_stops_nobody_else(connector, drain, clock):
    broken, sound = schedule(connector), schedule(connector, name="Sound")
    Schedule.objects.filter(pk=broken.pk).update(timezone="Atlantis/Capital")
    until(clock, "2026-03-03 09:00")
    drain()
    assert Event.objects.get().payload["schedule"] == "Sound"
    broken.refresh_from_db()
    assert (broken.enabled, broken.next_at) == (False, None)
    assert broken.note.startswith("Switched off, because it can't be read any more")
    sound.refresh_from_db()
    assert sound.enabled


def test_a_day_on_which_clocks_change_has_its_run_once(connector, drain, clock):
    until(clock, "2026-03-28 12:00")
    schedule(connector, "30 2 * * *", timezone="Europe/Berlin")
    for _ in range(48):
        clock.tick(hours=0.5)
        drain()
    until(clock, "2026-10-24 12:00")
    Schedule.objects.update(next_at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    for _ in range(48):
        clock.tick(hours=0.5)
        drain()
    times = [event.payload["scheduled_at"] for event in Event.objects.order_by("pk")]
    assert times == ["2026-03-29T03:00:00+02:00", "2026-10-25T02:30:00+02:00"]


def test_its_run_keeps_order_and_sleeps_like_any_other(drain, clock):
    connector = published(
        [(Delay, {"amount": 2, "unit": "days"})],
        mapping={"phone": "+4915112345678"},
        in_order=True,
    )
    schedule(connector)
    for _ in range(2):
        clock.tick(days=1)
        drain()
    first, second = Run.objects.order_by("pk")
    assert DelayRow.objects.get(run=second.pk).label == f"In order: after run {first.pk}"


def test_looking_for_what_is_due_reads_an_index(clock, is_postgresql):
    connector = ConnectorFactory()
    Installation.current()
    future = "now() + interval '1 day'" if is_postgresql else "'2090-01-01 00:00:00'"
    on, off = ("true", "false") if is_postgresql else ("1", "0")
    with connection.cursor() as cursor:
        for enabled in (on, off):
            cursor.execute(
                "INSERT INTO engine_schedule (connector_id, name, cron, timezone, payload, enabled,"
                f" next_at, missed, note) SELECT {connector.pk}, 'x', '0 9 * * *', 'UTC', '',"
                f" {enabled}, {future}, 0, '' FROM {series(5000)}"
            )
        cursor.execute("ANALYZE engine_schedule")
    clock.tick(days=-3650)
    plan = plans_of(lambda: (schedules.fire(), look().earliest))
    assert_only_by_index(plan, "engine_schedule")
    assert timedelta(0) < look().earliest - clock.now
