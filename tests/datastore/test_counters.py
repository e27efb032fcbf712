"""Counting: bounds, resets, and any sequence of operations against a plain model."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core import clock as core_clock
from apps.datastore import counters
from apps.datastore.counters import BadAmount
from apps.datastore.models import Counter, CounterValue
from apps.datastore.models.counters import LARGEST
from tests.factories import ContactFactory, CounterFactory

pytestmark = pytest.mark.django_db


def daily(**columns):
    return CounterFactory(reset_unit="day", timezone="Europe/Berlin", **columns)


def test_it_counts_up_and_down_from_its_start():
    counter = CounterFactory(starts=5)
    assert counters.current(counter) == 5
    assert [counters.add(counter, amount) for amount in (1, 10, -20)] == [6, 16, -4]
    assert counters.current(counter) == -4
    assert CounterValue.objects.count() == 1


def test_it_stops_at_its_maximum_and_comes_down_again():
    counter = CounterFactory(maximum=10)
    assert [counters.add(counter, amount) for amount in (8, 5, 1, -1)] == [10 - 2, 10, 10, 9]


def test_after_the_maximum_the_next_change_begins_at_the_start():
    counter = CounterFactory(starts=2, maximum=10, reset_at_maximum=True)
    assert [counters.add(counter, amount) for amount in (7, 7, 1, 1)] == [9, 10, 3, 4]
    assert counters.add(counter, 100) == 10
    assert counters.current(counter) == 10
    assert counters.add(counter, -1) == 1


def test_setting_is_bounded_and_triggers_no_reset():
    counter = CounterFactory(starts=2, maximum=10, reset_at_maximum=True)
    assert [counters.set_to(counter, amount) for amount in (50, 10, 4, -3)] == [10, 10, 4, -3]
    counters.set_to(counter, 10)
    assert counters.add(counter, 1) == 3


def test_each_contact_has_its_own_value():
    counter = CounterFactory(scope="contact", starts=1)
    ana, ben = ContactFactory(), ContactFactory()
    counters.add(counter, 1, ana)
    counters.add(counter, 5, ben)
    assert (counters.current(counter, ana), counters.current(counter, ben)) == (2, 6)
    assert counters.reset(counter, ana)
    assert (counters.current(counter, ana), counters.current(counter, ben)) == (1, 6)
    with pytest.raises(ValueError, match="for which one"):
        counters.add(counter, 1)
    ben.delete()
    assert not CounterValue.objects.exists()


def test_the_value_of_the_account_is_the_same_for_every_contact():
    counter = CounterFactory()
    assert [counters.add(counter, 1, ContactFactory()) for _ in range(3)] == [1, 2, 3]
    assert counters.current(counter, ContactFactory()) == 3


def test_resetting_twice_is_resetting_once():
    counter = CounterFactory(starts=3)
    counters.add(counter, 1)
    assert [counters.reset(counter), counters.reset(counter)] == [True, False]
    assert counters.current(counter) == 3


def test_resetting_all_writes_one_row_and_later_changes_begin_at_the_start():
    counter = CounterFactory(scope="contact", starts=3)
    people = [ContactFactory() for _ in range(3)]
    for contact in people:
        counters.add(counter, 10, contact)
    before = Counter.objects.get()  # as a turn has it that began before the reset
    with CaptureQueriesContext(connection) as captured:
        counters.reset_all(counter)
    assert len(captured) == 1
    counter.refresh_from_db()
    assert [counters.current(counter, contact) for contact in people] == [3, 3, 3]
    assert counters.add(counter, 1, people[0]) == 4
    # What was counted by the old round's count doesn't begin once more.
    assert counters.add(before, 1, people[0]) == 5
    assert counters.current(counter, people[0]) == 5
    counters.add(before, 1, people[1])
    assert counters.current(counter, people[1]) == 3


def test_it_resets_at_midnight_where_it_is(clock):
    counter = daily(starts=1)
    clock.now = datetime(2026, 3, 28, 22, 59, tzinfo=clock.now.tzinfo)
    assert counters.add(counter, 4) == 5
    clock.tick(seconds=59)
    assert counters.current(counter) == 5
    clock.tick(seconds=1)
    assert counters.current(counter) == 1
    assert CounterValue.objects.get().value == 5  # nobody has to write anything
    assert counters.add(counter, 1) == 2
    clock.tick(hours=23)  # 29 March is an hour shorter
    assert counters.current(counter) == 1


def test_reading_changes_nothing(clock):
    counter = daily(maximum=3, reset_at_maximum=True)
    counters.add(counter, 3)
    kept = CounterValue.objects.values().get()
    with CaptureQueriesContext(connection) as captured:
        assert counters.current(counter) == 3
    assert len(captured) == 1 and captured[0]["sql"].startswith("SELECT")
    assert CounterValue.objects.values().get() == kept


def test_a_reset_that_is_switched_on_later_leaves_what_was_counted_today(clock):
    counter = CounterFactory()
    counters.add(counter, 3)
    counter.reset_unit = "day"
    assert counters.current(counter) == 3
    clock.tick(days=1)
    assert counters.current(counter) == 0


def test_two_clocks_that_differ_reset_once(clock):
    counter = daily()
    counters.add(counter, 5)
    clock.now = datetime(2026, 3, 2, 23, 0, tzinfo=clock.now.tzinfo)  # midnight in Berlin
    assert counters.add(counter, 1) == 1
    clock.tick(seconds=-2)  # another host is behind
    assert counters.add(counter, 1) == 2
    clock.tick(seconds=4)
    assert counters.add(counter, 1) == 3


def test_a_timezone_that_is_gone_is_the_accounts(clock):
    counter = CounterFactory(reset_unit="day", timezone="Europe/Atlantis")
    assert counters.present_period(counter).start == datetime(2026, 3, 2, tzinfo=clock.now.tzinfo)


def test_it_never_leaves_what_can_be_counted_exactly():
    counter = CounterFactory()
    counters.set_to(counter, LARGEST)
    assert counters.add(counter, LARGEST) == LARGEST
    assert counters.set_to(counter, -LARGEST) == counters.add(counter, -LARGEST) == -LARGEST


def test_a_change_is_one_statement():
    counter = CounterFactory(reset_unit="hour")
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            counters.add(counter, 1)
        assert len(captured) == 1 and captured[0]["sql"].startswith("INSERT")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("5", 5), (" -3 ", -3), ("+2", 2), ("12.0", 12), ("1e3", 1000), ("0", 0)],
)
def test_amounts(text, amount):
    assert counters.read_amount(text) == amount


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_amount_is_refused(text):
    with pytest.raises(BadAmount, match="The amount is empty"):
        counters.read_amount(text)


@pytest.mark.parametrize(
    "text", ["abc", "1.5", "1,000", "1_000", "NaN", "Infinity", "٣", "1e", "true", "1e-3"]
)
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(BadAmount) as refused:
        counters.read_amount(text)
    assert str(refused.value) == f'"{text}" is not a whole number.'


@pytest.mark.parametrize("text", ["1e16", "-1000000000000001", "1e999999"])
def test_what_is_too_large_is_refused(text):
    with pytest.raises(BadAmount, match="more than a counter can hold"):
        counters.read_amount(text)


def test_keys_are_made_from_names_and_stay_unique():
    names = ["Orders today", "Orders  today!", "2026", "Bestellungen für mich", "日本"]
    made = [CounterFactory(name=name) for name in names]
    assert [counter.key for counter in made] == [
        "orders_today",
        "orders_today_2",
        "counter_2026",
        "bestellungen_fur_mich",
        "counter",
    ]


def test_several_are_read_in_two_queries():
    account, mine = CounterFactory(key="all"), CounterFactory(key="mine", scope="contact")
    ana = ContactFactory()
    counters.add(account, 3)
    counters.add(mine, 4, ana)
    counters.add(mine, 9, ContactFactory())
    with CaptureQueriesContext(connection) as captured:
        assert counters.values_by_key(["all", "mine", "none"], ana) == {"all": 3, "mine": 4}
    assert len(captured) == 2
    assert counters.values_by_key(["all", "mine"], None) == {"all": 3}


# --- any sequence --------------------------------------------------------------------------------

ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Havana"]
# Around the nights when clocks are put forward and back.
BEGINNINGS = ["2026-03-07T20:00+00:00", "2026-03-28T20:00+00:00", "2026-10-24T20:00+00:00"]
amounts = st.integers(-15, 15)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("add"), amounts),
        st.tuples(st.just("set"), amounts),
        st.tuples(st.just("reset"), st.none()),
        st.tuples(st.just("reset all"), st.none()),
        st.tuples(st.just("tick"), st.integers(1, 200)),  # quarters of an hour
    ),
    max_size=25,
)


class Plain:
    """A counter that watches the clock on the wall and does what it is told at once."""

    def __init__(self, counter, now):
        self.counter, self.now = counter, now
        self.value = counter.starts
        self.seen = self.mark()

    def mark(self):
        """What a calendar shows of the period; it grows."""
        local = self.now.astimezone(ZoneInfo(self.counter.timezone))
        every = self.counter.reset_every
        days = local.toordinal()
        hours = days * 24 + local.hour
        return {
            "": 0,
            "hour": (hours // every, local.fold if every == 1 else 0),
            "day": days // every,
            "week": (days - 1) // 7 // every,
            "month": (local.year * 12 + local.month - 1) // every,
        }[self.counter.reset_unit]

    def tick(self, quarters):
        for _ in range(quarters):
            self.now += timedelta(minutes=15)
            if self.mark() > self.seen:
                self.seen, self.value = self.mark(), self.counter.starts

    def add(self, amount):
        highest = self.counter.maximum
        if self.counter.reset_at_maximum and highest is not None and self.value >= highest:
            self.value = self.counter.starts
        self.set(self.value + amount)

    def set(self, amount):
        highest = self.counter.maximum
        self.value = amount if highest is None else min(amount, highest)

    def reset(self):
        self.value = self.counter.starts


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    starts=st.integers(-3, 3),
    room=st.one_of(st.none(), st.integers(1, 20)),
    again=st.booleans(),
    unit=st.sampled_from(["", "hour", "day", "week", "month"]),
    every=st.integers(1, 4),
    zone=st.sampled_from(ZONES),
    beginning=st.sampled_from(BEGINNINGS),
    done=operations,
)
def test_any_sequence_of_operations_and_times(
    db, starts, room, again, unit, every, zone, beginning, done
):
    counter = CounterFactory(
        starts=starts,
        maximum=None if room is None else starts + room,
        reset_at_maximum=again,
        reset_unit=unit,
        reset_every=every,
        timezone=zone,
    )
    plain = Plain(counter, datetime.fromisoformat(beginning))
    core_clock.use(lambda: plain.now)
    try:
        for what, amount in done:
            if what == "tick":
                plain.tick(amount)
            elif what == "add":
                plain.add(amount)
                assert counters.add(counter, amount) == plain.value
            elif what == "set":
                plain.set(amount)
                assert counters.set_to(counter, amount) == plain.value
            else:
                plain.reset()
                (counters.reset if what == "reset" else counters.reset_all)(counter)
                counter.refresh_from_db()
            assert counters.current(counter) == plain.value
    finally:
        core_clock.use(None)
