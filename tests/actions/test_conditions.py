"""Comparing two values: every operator of every type, both true and false."""

import pytest

from apps.actions import conditions
from apps.actions.conditions import OPERATORS, TYPES, find_operator, right_error


def compare(sort, name, left, right, delimiter=""):
    return conditions.compare(find_operator(f"{sort}:{name}"), left, right, delimiter)


TRUE, FALSE = True, False
BERLIN = "Europe/Berlin"  # the account's timezone in the table: an hour before UTC in March
TABLE = [
    # operator, left, right, verdict
    ("text:is", "Paid", " paid ", TRUE),
    ("text:is", "STRASSE", "straße", TRUE),
    ("text:is", 5, "5", TRUE),
    ("text:is", True, "true", TRUE),
    ("text:is", "unpaid", "paid", FALSE),
    ("text:is", None, "paid", FALSE),
    ("text:is_not", "unpaid", "paid", TRUE),
    ("text:is_not", "paid", "PAID", FALSE),
    ("text:is_not", None, "paid", TRUE),
    ("text:in_list", "b", "a, B ,c", TRUE),
    ("text:in_list", "d", "a,b,c", FALSE),
    ("text:in_list", "", "a,,c", FALSE),
    ("text:in_list", "a,b", "a,b", FALSE),
    ("text:in_list", 2, [1, 2], TRUE),
    ("text:not_in_list", "d", "a,b,c", TRUE),
    ("text:not_in_list", "", "a,b", TRUE),
    ("text:not_in_list", "A", "a,b,c", FALSE),
    ("text:contains", "an Order", "order", TRUE),
    ("text:contains", ["red", "blue"], "blue", TRUE),
    ("text:contains", "offer", "order", FALSE),
    ("text:not_contains", "offer", "order", TRUE),
    ("text:not_contains", "my ORDER", "order", FALSE),
    ("text:starts_with", "+49 151", "+49", TRUE),
    ("text:starts_with", "0049", "+49", FALSE),
    ("text:ends_with", "a@Example.org", "@example.ORG", TRUE),
    ("text:ends_with", "a@example.com", ".org", FALSE),
    ("text:min_length", "  abc ", "3", TRUE),
    ("text:min_length", "ab", "3", FALSE),
    ("text:max_length", "  abc ", "3", TRUE),
    ("text:max_length", "abcd", "3", FALSE),
    ("text:empty", None, "", TRUE),
    ("text:empty", "  ", "", TRUE),
    ("text:empty", [], "", TRUE),
    ("text:empty", {}, "", TRUE),
    ("text:empty", 0, "", FALSE),
    ("text:empty", False, "", FALSE),
    ("text:not_empty", "x", "", TRUE),
    ("text:not_empty", " ", "", FALSE),
    ("number:equals", "10.0", "10", TRUE),
    ("number:equals", 0.1, "0.1", TRUE),
    ("number:equals", 10, "11", FALSE),
    ("number:not_equals", 10, "11", TRUE),
    ("number:not_equals", "1e1", "10", FALSE),
    ("number:greater", 11, "10", TRUE),
    ("number:greater", 10, "10", FALSE),
    ("number:greater", "9", "10", FALSE),
    ("number:less", "9", "10", TRUE),
    ("number:less", 10, "10", FALSE),
    ("number:between", 10, "10,20", TRUE),
    ("number:between", "20", "10 , 20", TRUE),
    ("number:between", 15, "20,10", TRUE),
    ("number:between", 21, "10,20", FALSE),
    ("number:not_between", 21, "10,20", TRUE),
    ("number:not_between", 20, "10,20", FALSE),
    ("number:min_length", 12345, "5", TRUE),
    ("number:min_length", 1234, "5", FALSE),
    ("number:max_length", 12345, "5", TRUE),
    ("number:max_length", 123456, "5", FALSE),
    ("number:empty", None, "", TRUE),
    ("number:empty", 0, "", FALSE),
    ("number:not_empty", 0, "", TRUE),
    ("number:not_empty", "", "", FALSE),
    ("datetime:is", "2026-03-02T11:30:00Z", "2026-03-02 12:30", TRUE),
    ("datetime:is", 1772451000, "2026-03-02T11:30:00Z", TRUE),
    ("datetime:is", "1772451000000", " 2026-03-02T12:30:00+01:00 ", TRUE),
    ("datetime:is", "2026-03-02", "2026-03-02 00:00", TRUE),
    ("datetime:is", "2026-03-02T11:30:00Z", "2026-03-02 11:30", FALSE),
    ("datetime:is_not", "2026-03-02T11:30:00Z", "2026-03-02 11:30", TRUE),
    ("datetime:is_not", "2026-03-02T11:30:00Z", "2026-03-02 12:30", FALSE),
    ("datetime:on", "2026-03-02T23:30:00Z", "2026-03-03", TRUE),
    ("datetime:on", "2026-03-03 00:00", "2026-03-03T22:59:59Z", TRUE),
    ("datetime:on", "2026-03-02T23:30:00Z", "2026-03-02", FALSE),
    ("datetime:after", "2026-03-02T12:00:01Z", "2026-03-02 13:00", TRUE),
    ("datetime:after", "2026-03-02T12:00:00Z", "2026-03-02 13:00", FALSE),
    ("datetime:before", "2026-03-02T11:59:59Z", "2026-03-02 13:00", TRUE),
    ("datetime:before", "2026-03-02T12:00:00Z", "2026-03-02 13:00", FALSE),
    ("datetime:not_before", "2026-03-02T12:00:00Z", "2026-03-02 13:00", TRUE),
    ("datetime:not_before", "2026-03-02T11:59:59Z", "2026-03-02 13:00", FALSE),
    ("datetime:between", "2026-03-02 10:00", "2026-03-02 10:00, 2026-03-02 12:00", TRUE),
    ("datetime:between", "2026-03-02 12:00", "2026-03-02 12:00,2026-03-02 10:00", TRUE),
    ("datetime:between", "2026-03-02 12:00", ["2026-03-02", "2026-03-03"], TRUE),
    ("datetime:between", "2026-03-03 00:01", "2026-03-02,2026-03-03", FALSE),
    ("datetime:not_between", "2026-03-03 00:01", "2026-03-02,2026-03-03", TRUE),
    ("datetime:not_between", "2026-03-03", "2026-03-02,2026-03-03", FALSE),
    ("datetime:empty", None, "", TRUE),
    ("datetime:empty", "soon", "", FALSE),
    ("datetime:not_empty", "2026-03-02", "", TRUE),
    ("datetime:not_empty", " ", "", FALSE),
    ("date:is", "2026-03-02", "2026-03-02", TRUE),
    ("date:is", "2026-03-02T23:30:00Z", "2026-03-03", TRUE),
    ("date:is", "2026-03-02T23:30:00Z", "2026-03-02", FALSE),
    ("date:is_not", "2026-03-01", "2026-03-02", TRUE),
    ("date:is_not", "2026-03-02T08:00:00Z", "2026-03-02", FALSE),
    ("date:on", 1772451000, "2026-03-02", TRUE),
    ("date:on", 1772451000, "2026-03-01", FALSE),
    ("date:after", "2026-03-03", "2026-03-02T22:59:00Z", TRUE),
    ("date:after", "2026-03-02 23:59", "2026-03-02", FALSE),
    ("date:before", "2026-03-01", "2026-03-02", TRUE),
    ("date:before", "2026-03-02 00:00", "2026-03-02 23:00", FALSE),
    ("date:not_before", "2026-03-02", "2026-03-02", TRUE),
    ("date:not_before", "2026-03-01", "2026-03-02", FALSE),
    ("date:between", "2026-03-31 17:00", "2026-03-01,2026-03-31", TRUE),
    ("date:between", "2026-04-01", "2026-03-01,2026-03-31", FALSE),
    ("date:not_between", "2026-04-01", "2026-03-01,2026-03-31", TRUE),
    ("date:not_between", "2026-03-01", "2026-03-01,2026-03-31", FALSE),
    ("date:empty", "", "", TRUE),
    ("date:empty", "2026-03-01", "", FALSE),
    ("date:not_empty", "2026-03-01", "", TRUE),
    ("date:not_empty", None, "", FALSE),
    ("time:is", "09:30", "9:30:00", TRUE),
    ("time:is", "2026-03-02T08:30:00Z", "09:30", TRUE),
    ("time:is", "2026-07-02T07:30:00Z", "09:30", TRUE),
    ("time:is", "2026-03-02", "00:00", TRUE),
    ("time:is", "09:30:01", "09:30", FALSE),
    ("time:is_not", "09:31", "09:30", TRUE),
    ("time:is_not", "09:30", "09:30", FALSE),
    ("time:on", "09:30", "09:30", TRUE),
    ("time:on", "21:30", "09:30", FALSE),
    ("time:after", "09:31", "9:30", TRUE),
    ("time:after", "09:30", "9:30", FALSE),
    ("time:before", "09:29:59.5", "9:30", TRUE),
    ("time:before", "10:00", "9:30", FALSE),
    ("time:not_before", "09:30", "9:30", TRUE),
    ("time:not_before", "09:29", "9:30", FALSE),
    ("time:between", "17:00", "09:00,17:00", TRUE),
    ("time:between", "23:00", "22:00,06:00", TRUE),
    ("time:between", "06:00", "22:00,06:00", TRUE),
    ("time:between", "17:01", "09:00,17:00", FALSE),
    ("time:between", "12:00", "22:00,06:00", FALSE),
    ("time:not_between", "12:00", "22:00,06:00", TRUE),
    ("time:not_between", "09:00", "09:00,17:00", FALSE),
    ("time:empty", None, "", TRUE),
    ("time:empty", "00:00", "", FALSE),
    ("time:not_empty", "00:00", "", TRUE),
    ("time:not_empty", [], "", FALSE),
    ("email:is", " Ana@Example.org ", "ana@example.org", TRUE),
    ("email:is", "ana@example.org", "ben@example.org", FALSE),
    ("email:is_not", "ana@example.org", "ben@example.org", TRUE),
    ("email:is_not", "ANA@example.org", "ana@example.org", FALSE),
    ("email:contains", "ana@mail.example.org", "MAIL.", TRUE),
    ("email:contains", "ana@example.org", "mail.", FALSE),
    ("email:not_contains", "ana@example.org", "+", TRUE),
    ("email:not_contains", "ana+x@example.org", "+", FALSE),
    ("email:starts_with", "Info@example.org", "info@", TRUE),
    ("email:starts_with", "ana@example.org", "info@", FALSE),
    ("email:ends_with", "ana@example.org", "@Example.org", TRUE),
    ("email:ends_with", "ana@example.org", ".com", FALSE),
    ("email:empty", " ", "", TRUE),
    ("email:empty", "ana", "", FALSE),
    ("email:not_empty", "ana@example.org", "", TRUE),
    ("email:not_empty", None, "", FALSE),
    ("website:is", " HTTPS://Example.org/Shop ", "https://example.org/shop", TRUE),
    ("website:is", "https://example.org", "example.org", FALSE),
    ("website:is_not", "example.com", "example.org", TRUE),
    ("website:is_not", "Example.org", "example.org", FALSE),
    ("website:contains", "https://example.org/?utm_source=ad", "UTM_SOURCE=", TRUE),
    ("website:contains", "https://example.org/", "utm_source=", FALSE),
    ("website:not_contains", "example.org:8443/x", "shop", TRUE),
    ("website:not_contains", "shop.example.org", "shop", FALSE),
    ("website:starts_with", "https://example.org", "https://", TRUE),
    ("website:starts_with", "http://example.org", "https://", FALSE),
    ("website:ends_with", "https://example.de", ".de", TRUE),
    ("website:ends_with", "https://example.de/", ".de", FALSE),
    ("website:empty", "", "", TRUE),
    ("website:empty", "no website", "", FALSE),
    ("website:not_empty", "example.org", "", TRUE),
    ("website:not_empty", "", "", FALSE),
]


@pytest.mark.parametrize(("operator", "left", "right", "verdict"), TABLE)
def test_the_table(settings, operator, left, right, verdict):
    settings.TIME_ZONE = BERLIN
    got = conditions.compare(find_operator(operator), left, right)
    assert (got.passed, got.warning) == (verdict, "")


def test_the_table_shows_both_verdicts_of_every_operator():
    shown = {(operator, verdict) for operator, _, _, verdict in TABLE}
    every = {f"{kind}:{name}" for kind, names in OPERATORS.items() for name in names}
    assert shown == {(operator, verdict) for operator in every for verdict in (True, False)}


PRINTED = """
Text | is, isn't, in list, not in list, contains, doesn't contains, starts with, ends with,
 minimum length, maximum length, is empty, is not empty
Numeric | equals, not equals, greater than, less than, between, not between, minimum length,
 maximum length, is empty, is not empty
Date & Time | is, isn't, on, after, before, not before, between, not between, is empty, is not empty
Date | is, isn't, on, after, before, not before, between, not between, is empty, is not empty
Time | is, isn't, on, after, before, not before, between, not between, is empty, is not empty
Email | is, isn't, contains, doesn't contains, starts with, ends with, is empty, is not empty
Website | is, isn't, contains, doesn't contains, starts with, ends with, is empty, is not empty
"""


def test_types_and_operators_are_called_as_specified():
    names = [
        f"{label} | " + ", ".join(operator.printed for operator in OPERATORS[sort].values())
        for sort, label in TYPES
    ]
    assert names == PRINTED.replace("\n ", " ").strip().splitlines()


def test_another_delimiter():
    assert compare("text", "in_list", "a,b", "a,b | c", "|").passed
    assert not compare("text", "in_list", "a", "a,b | c", "|").passed


NOT_NUMBERS = ["abc", "", None, True, "1,5", "1_000", "NaN", "Infinity", [1], {"a": 1}]


@pytest.mark.parametrize("left", NOT_NUMBERS, ids=str)
@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("equals", "1"),
        ("not_equals", "1"),
        ("greater", "1"),
        ("less", "1"),
        ("between", "1,2"),
        ("not_between", "1,2"),
    ],
)
def test_what_is_no_number_makes_every_comparison_false_and_is_told(left, name, right):
    verdict = compare("number", name, left, right)
    assert not verdict.passed
    assert verdict.warning.endswith("is not a number")


@pytest.mark.parametrize(
    ("kind", "name", "right", "warning"),
    [
        ("number", "equals", "abc", '"abc" is not a number'),
        ("number", "between", "10", "between needs two numbers with a comma, such as 10,20"),
        ("number", "not_between", "10,x", '"x" is not a number'),
        ("text", "min_length", "long", '"long" is not a number'),
        ("text", "max_length", "-1", '"-1" is not a length'),
        ("text", "min_length", "1.5", '"1.5" is not a length'),
    ],
)
def test_a_value_to_compare_with_that_cannot_be_read_is_told(kind, name, right, warning):
    verdict = compare(kind, name, 5, right)
    assert (verdict.passed, verdict.warning) == (False, warning)
    assert right_error(find_operator(f"{kind}:{name}"), right) == warning


NOT_OF_THE_TYPE = {
    "datetime": ("a date and time", [None, "", "soon", "09:30", "2026-13-01", True, 5, [], "1e9"]),
    "date": ("a date", [None, "", "tomorrow", "09:30", "2026-02-30", "02.03.2026", {"a": 1}]),
    "time": ("a time", [None, "", "noon", "24:00", "9", "0930", "09:30Z", "9:30 pm", False, 930]),
    "email": ("an email address", [None, "", "ana", "ana@", "@example.org", "a b@example.org", 5]),
    "website": ("a website", [None, "", "shop", "a b.org", "ftp://a.org", "ana@example.org", "//"]),
}


@pytest.mark.parametrize(
    ("sort", "value"), [(sort, v) for sort, (_, values) in NOT_OF_THE_TYPE.items() for v in values]
)
def test_what_is_not_of_the_type_makes_every_comparison_false_and_is_told(sort, value):
    good = {
        "datetime": "2026-03-02",
        "date": "2026-03-02",
        "time": "09:00",
        "email": "a@example.org",
        "website": "example.org",
    }[sort]
    for name in OPERATORS[sort].keys() - {"empty", "not_empty"}:
        right = f"{good},{good}" if "between" in name else good
        verdict = compare(sort, name, value, right)
        assert not verdict.passed
        assert verdict.warning.endswith(("is not a date", f"is not {NOT_OF_THE_TYPE[sort][0]}"))
        backwards = compare(sort, name, good, value)
        if sort not in ("email", "website") or name in ("is", "is_not"):
            assert not backwards.passed and backwards.warning


@pytest.mark.parametrize(
    ("operator", "right", "warning"),
    [
        ("datetime:on", "noon", '"noon" is not a date'),
        (
            "datetime:between",
            "2026-03-01",
            "between needs two dates with a comma, such as 2026-03-01 09:00,2026-03-31 17:00",
        ),
        ("date:not_between", "2026-03-01,x", '"x" is not a date'),
        ("time:between", "09:00", "between needs two times with a comma, such as 09:00,17:00"),
        ("email:is", "ana", '"ana" is not an email address'),
        ("website:is_not", "shop", '"shop" is not a website'),
        ("email:contains", "ana", ""),
        ("time:empty", "whatever", ""),
    ],
)
def test_what_can_never_be_compared_with_is_known_beforehand(operator, right, warning):
    assert right_error(find_operator(operator), right) == warning


@pytest.mark.parametrize("moment", ["0001-01-01", "9999-12-31T23:59:59"])
def test_the_ends_of_the_calendar_are_told_not_broken(settings, moment):
    settings.TIME_ZONE = "Asia/Tokyo" if moment[0] == "0" else "America/New_York"
    assert compare("datetime", "after", moment, "2026-03-02").warning.endswith("date and time")
    utc = moment.ljust(10)[:10] + ("T00:00:00Z" if moment[0] == "0" else "T23:00:00Z")
    settings.TIME_ZONE = "America/New_York" if moment[0] == "0" else "Asia/Tokyo"
    assert compare("date", "is", utc, "2026-03-02").warning.endswith("is not a date")


def test_the_hour_that_comes_twice(settings):
    settings.TIME_ZONE = BERLIN
    assert compare("datetime", "is", "2026-10-25 02:30", "2026-10-25T00:30:00Z").passed
    assert compare("datetime", "is_not", "2026-10-25 02:30", "2026-10-25T01:30:00Z").passed
    assert compare("time", "is", "2026-10-25T01:30:00Z", "02:30").passed
