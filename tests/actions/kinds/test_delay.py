from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from apps.actions.kinds.delay import Delay
from apps.actions.kinds.map_contact import MapContact
from apps.actions.moments import UnreadableMoment, read_moment, shift
from apps.crm.models import Contact
from apps.engine.models import Attempt, Run
from apps.engine.models import Delay as Sleeping

pytestmark = pytest.mark.django_db

AFTER = (MapContact, {"phone": "+4915112345678"})


def on(date="{{ event.start }}", **columns):
    return Delay, {"counts_from": "custom", "direction": "on", "date": date, **columns}


def state_of(run):
    return Run.objects.get(pk=run.pk).state


# The clock stands at 2026-03-02 12:00 UTC.
@pytest.mark.parametrize(
    ("columns", "until"),
    [
        ({"amount": 30, "unit": "minutes"}, "2026-03-02T12:30"),
        ({"amount": 2, "unit": "hours"}, "2026-03-02T14:00"),
        ({"amount": 3, "unit": "days"}, "2026-03-05T12:00"),
        ({"counts_from": "event", "amount": 90, "unit": "minutes"}, "2026-03-02T13:30"),
        ({"direction": "before", "amount": 1, "unit": "hours"}, "2026-03-10T09:00"),
        ({"direction": "on", "amount": 5, "unit": "days"}, "2026-03-10T10:00"),
        ({"direction": "after", "amount": 2, "unit": "days"}, "2026-03-12T10:00"),
    ],
)
def test_the_run_waits_until_then_and_not_a_second_less(happen, drain, clock, columns, until):
    if "direction" in columns:
        columns = {"counts_from": "custom", "date": "{{ event.start }}", **columns}
    run = happen([(Delay, columns), AFTER], event={"start": "2026-03-10T10:00:00Z"})
    sleeping = Sleeping.objects.get()
    assert (run.state, sleeping.wake_at.isoformat()) == ("waiting", f"{until}:00+00:00")
    clock.now = sleeping.wake_at
    clock.tick(seconds=-1)
    drain()
    assert (state_of(run), Contact.objects.count()) == ("waiting", 0)
    clock.tick(seconds=1)
    drain()
    assert (state_of(run), Contact.objects.count()) == ("done", 1)


@pytest.mark.parametrize(
    ("value", "until"),
    [
        ("2026-03-10", "2026-03-10T00:00+01:00"),  # 12 am in the account's timezone
        ("2026-03-10T10:30:00", "2026-03-10T10:30+01:00"),
        ("2026-03-10 10:30", "2026-03-10T10:30+01:00"),
        ("2026-03-10T10:30:00Z", "2026-03-10T10:30+00:00"),
        ("2026-03-10T10:30:00-05:00", "2026-03-10T10:30-05:00"),
        ("2026-07-10", "2026-07-10T00:00+02:00"),  # summer time
        (1773138600, "2026-03-10T10:30+00:00"),
        ("1773138600", "2026-03-10T10:30+00:00"),
        (1773138600000, "2026-03-10T10:30+00:00"),
        (1773138600000.0, "2026-03-10T10:30+00:00"),
    ],
)
def test_dates_as_software_sends_them(happen, settings, value, until):
    settings.TIME_ZONE = "Europe/Berlin"
    happen([on()], event={"start": value})
    assert Sleeping.objects.get().wake_at == datetime.fromisoformat(until)


@pytest.mark.parametrize(
    "value",
    [
        "tomorrow",
        "10/03/2026",
        "2026-02-30",
        "99:99",
        "",
        None,
        12345,
        True,
        [],
        {"a": 1},
        "9" * 14,
    ],
)
def test_an_unreadable_date_skips_the_rest_of_its_step(happen, told, value):
    run = happen([on(direction="after"), AFTER], [(Delay, {})], event={"start": value})
    failed = Attempt.objects.filter(kind="delay").earliest("pk")
    assert (failed.result, failed.note) == ("failed", "Invalid date for delay")
    assert (run.state, Contact.objects.count()) == ("waiting", 0)  # in the second step


def test_a_date_that_is_not_there_is_noted(happen, told):
    entry = told(happen([on()]), "delay")
    assert (entry.note, entry.missing) == ("Invalid date for delay", ["event.start"])


def test_text_that_cannot_be_filled_in_never_lets_the_step_run_at_once(happen, told):
    run = happen([(Delay, {"identifier": "{{ 1 | divided_by: 0 }}"}), AFTER])
    assert (told(run, "delay").result, Contact.objects.count()) == ("failed", 0)


def test_a_date_already_past_skips_the_rest_of_the_step(happen, told):
    run = happen([on(), AFTER], event={"start": "2026-03-02T11:59:59Z"})
    entry = told(run, "delay")
    assert (entry.result, run.state, Contact.objects.count()) == ("skipped", "done", 0)
    assert entry.note == "2026-03-02 11:59:59 UTC is past: the rest of the step is skipped"


def test_a_date_already_past_may_run_at_once(happen, told):
    run = happen([on(if_past="run"), AFTER], event={"start": "2026-03-01"})
    assert (told(run, "delay").result, run.state) == ("done", "done")
    assert Contact.objects.count() == 1


def test_a_time_after_the_event_that_has_passed_meanwhile_does_not_wait(happen, drain, clock):
    """The event's own time is never skipped: 2 hours of waiting are over when 1 would be."""
    steps = [(Delay, {"amount": 2}), (Delay, {"counts_from": "event", "amount": 1}), AFTER]
    run = happen(steps)
    clock.tick(hours=2)
    drain()
    assert (state_of(run), Contact.objects.count()) == ("done", 1)


def test_delays_in_a_row_add_up_and_fire_once_each(happen, drain, clock):
    run = happen(
        *[[(Delay, {"amount": 1}), (MapContact, {"email": f"{n}@x.org"})] for n in "12345"]
    )
    for hours in range(1, 6):
        assert Contact.objects.count() == hours - 1
        clock.tick(minutes=59)
        assert drain() == 0
        clock.tick(minutes=1)
        drain()
        assert Contact.objects.count() == hours
    assert state_of(run) == "done"
    assert set(Sleeping.objects.values_list("state", flat=True)) == {"fired"}
    waits = Attempt.objects.filter(kind="delay", result="waiting")
    assert waits.count() == Sleeping.objects.count() == 5


def test_delays_next_to_each_other_add_up(happen, drain, clock):
    run = happen([(Delay, {"amount": 1}), (Delay, {"amount": 1}), AFTER])
    clock.tick(hours=1)
    drain()
    assert (state_of(run), Contact.objects.count()) == ("waiting", 0)
    clock.tick(hours=1)
    drain()
    assert (state_of(run), Contact.objects.count()) == ("done", 1)


def test_a_late_worker_wakes_it_once_and_the_next_delay_counts_from_then(happen, drain, clock):
    run = happen([(Delay, {"amount": 1}), (Delay, {"amount": 2}), AFTER])
    clock.tick(days=3)
    drain()
    assert state_of(run) == "waiting"
    assert Sleeping.objects.latest("pk").wake_at == datetime(2026, 3, 5, 14, 0, tzinfo=UTC)


def test_the_identifier_is_filled_in_when_the_wait_begins(happen):
    happen([(Delay, {"identifier": " webinar {{ event.id }} "})], event={"id": 7})
    assert Sleeping.objects.get().identifier == "webinar 7"


def test_a_turn_done_again_waits_once(happen, lost_turn, drain, clock):
    run = happen([(Delay, {}), AFTER])
    assert (lost_turn, run.state, Sleeping.objects.count()) == ([True], "waiting", 1)
    clock.tick(hours=1)
    drain()
    assert (state_of(run), Contact.objects.count()) == ("done", 1)


def test_what_is_missing_or_unreadable_is_a_problem():
    assert Delay().problems() == []
    custom = Delay(counts_from="custom")
    assert custom.problems() == ["Fill in the date that the delay is counted from."]
    custom.date = "next week"
    assert custom.problems() == ['"next week" is neither an ISO date & time nor a timestamp.']
    for date in ("2026-12-24", "{{ event.start }}"):
        custom.date = date
        assert custom.problems() == []


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"amount": 1}, "1 hour after last step executed time"),
        ({"amount": 3, "unit": "days", "counts_from": "event"}, "3 days after event received time"),
        (
            {"counts_from": "custom", "direction": "on", "date": "{{ event.at }}"},
            "Until {{ event.at }}",
        ),
        (
            {"counts_from": "custom", "direction": "before", "date": "{{ event.at }}", "amount": 2},
            "Until 2 hours before {{ event.at }}",
        ),
    ],
)
def test_the_summary_reads_as_a_sentence(columns, line):
    assert Delay(**columns).summary() == line


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("start", "amount", "unit", "expected"),
    [
        # Summer time begins on 2026-03-29 at 02:00: the day has 23 hours.
        ("2026-03-28T10:00", 1, "days", "2026-03-29T10:00+02:00"),
        ("2026-03-28T10:00", 24, "hours", "2026-03-29T11:00+02:00"),
        ("2026-03-29T10:00", -1, "days", "2026-03-28T10:00+01:00"),
        ("2026-03-28T02:30", 1, "days", "2026-03-29T03:30+02:00"),  # 02:30 does not exist
        # It ends on 2026-10-25 at 03:00.
        ("2026-10-24T10:00", 1, "days", "2026-10-25T10:00+01:00"),
        ("2026-10-25T00:00", 10, "hours", "2026-10-25T09:00+01:00"),
    ],
)
def test_where_the_clocks_change_days_keep_the_time_of_day(start, amount, unit, expected):
    moved = shift(read_moment(start, BERLIN), amount, unit, BERLIN)
    assert moved == datetime.fromisoformat(expected)


def test_no_days_move_nothing_even_in_the_hour_that_comes_twice():
    second = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1)
    assert shift(second, 0, "days", BERLIN) == second.astimezone(UTC)


def test_beyond_the_calendar_is_unreadable(happen, told):
    run = happen([on("9999-12-31", direction="after", amount=1_000_000, unit="days")])
    assert told(run, "delay").note == "Invalid date for delay"
    with pytest.raises(UnreadableMoment):
        read_moment("10000-01-01")
