"""Calendar periods by the clock of a timezone, also where clocks are put forward and back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.datastore.periods import period_of

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Havana", "Asia/Beirut", "Africa/Cairo"]


def local(text, zone=BERLIN, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


@pytest.mark.parametrize(
    ("unit", "every", "at", "start", "end"),
    [
        ("hour", 1, "2026-03-04T10:59", "2026-03-04T10:00", "2026-03-04T11:00"),
        ("hour", 6, "2026-03-04T11:30", "2026-03-04T06:00", "2026-03-04T12:00"),
        ("day", 1, "2026-03-04T00:00", "2026-03-04T00:00", "2026-03-05T00:00"),
        ("week", 1, "2026-03-04T10:00", "2026-03-02T00:00", "2026-03-09T00:00"),
        ("week", 1, "2026-03-02T00:00", "2026-03-02T00:00", "2026-03-09T00:00"),
        ("week", 1, "2026-03-01T23:59", "2026-02-23T00:00", "2026-03-02T00:00"),
        ("month", 1, "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", 3, "2026-03-04T10:00", "2026-01-01T00:00", "2026-04-01T00:00"),
        ("month", 12, "2026-03-04T10:00", "2026-01-01T00:00", "2027-01-01T00:00"),
        # Clocks go from 2:00 to 3:00 on 29 March, and from 3:00 back to 2:00 on 25 October.
        ("day", 1, "2026-03-29T12:00", "2026-03-29T00:00", "2026-03-30T00:00"),
        ("hour", 1, "2026-03-29T03:30", "2026-03-29T03:00", "2026-03-29T04:00"),
        ("hour", 2, "2026-03-29T03:30", "2026-03-29T03:00", "2026-03-29T04:00"),
        ("day", 1, "2026-10-25T12:00", "2026-10-25T00:00", "2026-10-26T00:00"),
    ],
)
def test_where_periods_begin_and_end(unit, every, at, start, end):
    found = period_of(local(at), unit, every, BERLIN)
    assert found == (local(start), local(end))
    assert found.start.tzinfo is UTC


def test_a_day_may_have_twenty_three_or_twenty_five_hours():
    spring = period_of(local("2026-03-29T12:00"), "day", 1, BERLIN)
    autumn = period_of(local("2026-10-25T12:00"), "day", 1, BERLIN)
    assert (spring.end - spring.start, autumn.end - autumn.start) == (
        timedelta(hours=23),
        timedelta(hours=25),
    )


def test_the_hour_that_comes_twice_is_two_hours():
    first = period_of(local("2026-10-25T02:30"), "hour", 1, BERLIN)
    second = period_of(local("2026-10-25T02:30", fold=1), "hour", 1, BERLIN)
    assert first.end == second.start
    assert second.end == local("2026-10-25T03:00")


moments = st.integers(1_600_000_000, 2_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))


@given(
    moments,
    st.integers(0, 200_000),
    st.sampled_from(["hour", "day", "week", "month"]),
    st.integers(1, 30),
    st.sampled_from(ZONES),
)
def test_periods_hold_their_moment_and_never_go_back(moment, later, unit, every, zone):
    first = period_of(moment, unit, every, ZoneInfo(zone))
    second = period_of(moment + timedelta(seconds=later), unit, every, ZoneInfo(zone))
    assert first.start <= moment
    assert first.start <= second.start
    # The period that begins where this one ends is another one, and it begins right there.
    following = period_of(first.end, unit, every, ZoneInfo(zone))
    assert following.start == first.end > moment
