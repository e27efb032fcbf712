"""Cron expressions: sentences for bad ones, and the days on which clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import cron

BERLIN = ZoneInfo("Europe/Berlin")


def times(expression, day, count=4):
    start = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    return [f"{time:%d. %H:%M %Z}" for time in cron.next_times(expression, BERLIN, start, count)]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", '"" is not a cron expression: write five fields such as 0 9 * * 1-5'),
        ("0 9 * *", '"0 9 * *" is not a cron expression: write five fields such as 0 9 * * 1-5'),
        ("@daily", "write five fields"),
        ("* * * * * *", "write five fields"),
        ("61 * * * *", "its minute can't be right"),
        ("0 24 * * *", "its hour can't be right"),
        ("0 0 31 2 *", "its day of month can't be right"),
        ("0 0 * * 8", "its day of week can't be right"),
        ("a b c d e", "its minute can't be right"),
        ("*/0 * * * *", "its minute can't be right"),
    ],
)
def test_what_is_no_cron_expression_gets_a_sentence(bad, why):
    assert why in cron.problem(bad)


def test_a_good_one_is_read_back_in_words():
    assert cron.problem("0 9 * * 1-5") == ""
    assert cron.explain("0 9 * * 1-5") == "At 09:00 on Monday through Friday"


@given(st.text(alphabet="0123456789*/,-LW#monj ", max_size=20))
def test_any_text_is_refused_or_has_a_next_time(text):
    if not cron.problem(text):
        assert cron.next_times(text, BERLIN, datetime(2026, 3, 1, tzinfo=UTC), 1)


def test_an_hour_that_is_skipped_is_made_up_for_right_after_it():
    assert times("30 2 * * *", "2026-03-28", 3) == [
        "28. 02:30 CET",
        "29. 03:00 CEST",
        "30. 02:30 CEST",
    ]


def test_an_hour_that_comes_twice_counts_once():
    assert times("30 2 * * *", "2026-10-25", 2) == ["25. 02:30 CEST", "26. 02:30 CET"]


def test_what_goes_by_the_minute_keeps_its_steps_in_real_time():
    assert times("*/30 * * * *", "2026-10-25T02:15", 4) == [
        "25. 02:30 CEST",
        "25. 02:00 CET",
        "25. 02:30 CET",
        "25. 03:00 CET",
    ]
    assert times("30 * * * *", "2026-03-29T01:00", 2) == ["29. 01:30 CET", "29. 03:30 CEST"]


@given(
    expression=st.sampled_from(["30 2 * * *", "*/20 * * * *", "0 */2 * * *", "15 1-3 * * *"]),
    day=st.sampled_from(["2026-03-28T20:00", "2026-10-24T20:00"]),
    minutes=st.integers(0, 1000),
)
def test_counting_on_from_any_time_gives_the_same_times(expression, day, minutes):
    begin = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    start = begin.astimezone(UTC) + timedelta(minutes=minutes)
    at, one_by_one = start, []
    for _ in range(8):
        (at,) = cron.next_times(expression, BERLIN, at, 1)
        one_by_one.append(at)
    assert one_by_one == cron.next_times(expression, BERLIN, start, 8)


def test_what_has_passed_is_counted():
    first = datetime(2026, 3, 2, 9, tzinfo=UTC)
    zone = ZoneInfo("UTC")
    assert cron.passed("0 9 * * *", zone, first, first) == (first, 0)
    late = first + timedelta(days=3, hours=1)
    assert cron.passed("0 9 * * *", zone, first, late) == (first + timedelta(days=3), 3)
    ages = first + timedelta(days=365)
    last, missed = cron.passed("* * * * *", zone, first, ages)
    assert missed == cron.MOST and last < ages
