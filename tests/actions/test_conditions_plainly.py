"""Comparing two values, against a second reading of them that is as plain as possible."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.actions import conditions
from apps.actions.conditions import OPERATORS, combine, find_operator

unhurried = settings(deadline=None)  # a busy machine is no failure


def compare(sort, name, left, right):
    return conditions.compare(find_operator(f"{sort}:{name}"), left, right)


TEXTS = st.text(alphabet="aAbß ,|1.5-", max_size=6)
VALUES = TEXTS | st.integers(-30, 30) | st.decimals(-9, 9, places=1).map(float) | st.none()


def spelled(value):
    return "" if value is None else str(value)


def folded(value):
    return spelled(value).strip().casefold()


def number(value):
    try:
        got = Decimal(spelled(value).strip())
    except InvalidOperation:
        return None
    return got if got.is_finite() else None


PLAIN_TEXT = {
    "is": lambda a, b: a == b,
    "is_not": lambda a, b: a != b,
    "contains": lambda a, b: b in a,
    "not_contains": lambda a, b: b not in a,
    "starts_with": lambda a, b: a[: len(b)] == b,
    "ends_with": lambda a, b: a[len(a) - len(b) :] == b if len(b) <= len(a) else False,
    "in_list": lambda a, b: a != "" and a in [item.strip() for item in b.split(",")],
    "not_in_list": lambda a, b: a == "" or a not in [item.strip() for item in b.split(",")],
    "empty": lambda a, b: a == "",
    "not_empty": lambda a, b: a != "",
}
PLAIN_NUMBER = {
    "equals": lambda a, b: a == b,
    "not_equals": lambda a, b: a != b,
    "greater": lambda a, b: a > b,
    "less": lambda a, b: a < b,
}


@unhurried
@given(st.sampled_from(sorted(PLAIN_TEXT)), VALUES, VALUES)
def test_text_compares_as_plainly_read(name, left, right):
    expected = PLAIN_TEXT[name](folded(left), folded(right))
    assert compare("text", name, left, right).passed == expected


@unhurried
@given(st.sampled_from(sorted(PLAIN_NUMBER)), VALUES, VALUES)
def test_numbers_compare_as_plainly_read(name, left, right):
    a, b = number(left), number(right)
    readable = a is not None and b is not None
    verdict = compare("number", name, left, right)
    assert verdict.passed == (readable and PLAIN_NUMBER[name](a, b))
    assert bool(verdict.warning) == (not readable)


@unhurried
@given(VALUES, st.integers(-30, 30), st.integers(-30, 30))
def test_between_is_inclusive_and_its_opposite_is_opposite(left, low, high):
    inside = compare("number", "between", left, f"{low},{high}")
    outside = compare("number", "not_between", left, f"{low},{high}")
    if number(left) is None:
        assert not inside.passed and not outside.passed and inside.warning
    else:
        assert inside.passed == (min(low, high) <= number(left) <= max(low, high))
        assert outside.passed != inside.passed


@unhurried
@given(VALUES, st.integers(0, 8))
def test_lengths_meet_in_the_middle(left, length):
    at_least = compare("text", "min_length", left, length).passed
    at_most = compare("text", "max_length", left, length).passed
    actual = len(spelled(left).strip())
    assert (at_least, at_most) == (actual >= length, actual <= length)


@unhurried
@given(st.lists(st.booleans()))
def test_all_and_any(verdicts):
    assert combine("all", verdicts) == (False not in verdicts)
    assert combine("any", verdicts) == (True in verdicts or verdicts == [])


# Dates and times: a value is made from plain Python, spelled in one of the ways that senders use.

ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"]
SECONDS = st.integers(1_767_000_000, 1_800_000_000).map(lambda second: second // 60 * 60)
SPELLINGS = {
    "seconds": lambda moment, zone: int(moment.timestamp()),
    "milliseconds": lambda moment, zone: str(int(moment.timestamp()) * 1000),
    "utc": lambda moment, zone: moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "offset": lambda moment, zone: moment.astimezone(ZoneInfo(zone)).isoformat(),
    "blank": lambda moment, zone: f" {moment.astimezone(ZoneInfo(zone)).isoformat(' ')}\n",
}
PLAIN_ORDER = {
    "is": lambda a, b: a == b,
    "is_not": lambda a, b: a != b,
    "on": lambda a, b: a == b,
    "after": lambda a, b: a > b,
    "before": lambda a, b: a < b,
    "not_before": lambda a, b: a >= b,
}
PLAIN_VALUE = {
    "datetime": lambda moment, zone: moment,
    "date": lambda moment, zone: moment.astimezone(zone).date(),
    "time": lambda moment, zone: moment.astimezone(zone).time(),
}
# Near each other, or nothing but *after* and *before* would be seen.
PAIRS = st.tuples(SECONDS, st.integers(-3000, 3000), st.integers(-3000, 3000))
DATED = st.sampled_from(sorted(PLAIN_VALUE))


def moments(seconds):
    first, *others = seconds
    return [datetime.fromtimestamp(first + 60 * other, UTC) for other in (0, *others)]


@unhurried
@given(
    DATED,
    st.sampled_from(sorted(PLAIN_ORDER)),
    PAIRS,
    st.tuples(*[st.sampled_from(sorted(SPELLINGS))] * 2),
    st.sampled_from(ZONES),
)
def test_dates_compare_as_plainly_read(sort, name, seconds, spellings, zone):
    left, right, _ = moments(seconds)
    read = PLAIN_VALUE["date" if (sort, name) == ("datetime", "on") else sort]
    local = ZoneInfo(zone)
    expected = PLAIN_ORDER[name](read(left, local), read(right, local))
    with override_settings(TIME_ZONE=zone):
        spelled = [SPELLINGS[s](m, zone) for s, m in zip(spellings, (left, right), strict=True)]
        got = compare(sort, name, *spelled)
    assert (got.passed, got.warning) == (expected, "")


@unhurried
@given(DATED, PAIRS, st.sampled_from(ZONES))
def test_between_dates_is_inclusive_and_its_opposite_is_opposite(sort, seconds, zone):
    values = [PLAIN_VALUE[sort](moment, ZoneInfo(zone)) for moment in moments(seconds)]
    value, low, high = values
    if sort == "time" and low > high:
        expected = not high < value < low
    else:
        expected = sorted(values)[1] == value or value in (low, high)
    with override_settings(TIME_ZONE=zone):
        left, first, second = (plain.isoformat() for plain in values)
        inside = compare(sort, "between", left, f"{first}, {second}")
        outside = compare(sort, "not_between", left, [first, second])
    assert (inside.passed, outside.passed) == (expected, not expected)


WORDS = st.text(alphabet="abAB", min_size=1, max_size=3)
EMAILS = st.builds("{}@{}.{}".format, WORDS, WORDS, st.sampled_from(["org", "COM"]))
WEBSITES = st.builds(
    "{}{}.{}{}".format,
    st.sampled_from(["", "http://", "HTTPS://"]),
    WORDS,
    st.sampled_from(["org", "COM"]),
    st.sampled_from(["", "/", "/A?b=a"]),
)


@unhurried
@given(
    st.sampled_from(["is", "is_not", "contains", "not_contains", "starts_with", "ends_with"]),
    st.sampled_from([("email", EMAILS), ("website", WEBSITES)]),
    st.data(),
)
def test_addresses_compare_as_texts(name, sort_and_values, data):
    sort, values = sort_and_values
    left, right = data.draw(values), data.draw(values)
    if name not in ("is", "is_not"):
        start = data.draw(st.integers(0, len(left) - 1))
        right = data.draw(st.sampled_from([right, left[start:], left[: start + 1]]))
    got = compare(sort, name, f" {left} ", f" {right} ")
    assert (got.passed, got.warning) == (PLAIN_TEXT[name](folded(left), folded(right)), "")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values),
    max_leaves=4,
)


@unhurried
@given(ANYTHING, ANYTHING, st.text(max_size=2))
def test_whatever_comes_every_operator_has_a_verdict(left, right, delimiter):
    for operators in OPERATORS.values():
        for operator in operators.values():
            got = conditions.compare(operator, left, right, delimiter)
            assert isinstance(got.passed, bool)
            assert not (got.passed and got.warning)
