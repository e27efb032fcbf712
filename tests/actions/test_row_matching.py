"""Rows match exactly when a filter says so, whatever the index left out before."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.actions.conditions import OPERATORS, comparing, find_operator
from apps.actions.tables.matching import keys_of
from apps.core import typed
from apps.datastore.models import Column, Row
from apps.datastore.tables import cells, matching, rows
from apps.datastore.tables.matching import Match, Term, find_ids
from tests.datastore.made import add_row, column, made_table

pytestmark = pytest.mark.django_db

TYPES = {
    "words": "text",
    "amount": "number",
    "day": "date",
    "at": "datetime",
    "ok": "boolean",
    "any": "json",
}
WORDS = (
    "Gold| gold |GOLD|silver|ẞ|ss|ﬁ|gold,silver|a@b.example|A@B.example|http://a.example|a.example"
)
NUMBERS = "1|1.0|01|0.10|.1|-0|1e3|1000|1e999999|" + "9" * 40
OTHERS = "true|yes|2026-03-31|2026-03-31T18:00|2026-03-31T20:00:00+02:00|1774980000|[1]|%|\u2028"
LONG = ["", "x" * 300, "X" * 300 + "y", '{"b":1,"a":2}']
TEXTS = st.sampled_from([*WORDS.split("|"), *NUMBERS.split("|"), *OTHERS.split("|"), *LONG])
NAMES = [f"{sort}:{name}" for sort, operators in OPERATORS.items() for name in operators]
CONDITIONS = st.tuples(st.sampled_from(list(TYPES)), st.sampled_from(NAMES), TEXTS)


def readable(type, text):
    try:
        cells.read_as(type, text)
    except typed.Unreadable:
        return False
    return True


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            key: TEXTS.filter(lambda text, type=type: readable(type, text))
            for key, type in TYPES.items()
        }
    ),
    max_size=6,
)


@given(ROWS, st.lists(CONDITIONS, min_size=1, max_size=3), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_index_never_hides_a_row_that_a_filter_would_pass(made, conditions, any_of):
    with transaction.atomic():
        table = made_table(**TYPES)
        for texts in made:
            add_row(table, **texts)
        terms = [term(column(table, key), name, right) for key, name, right in conditions]
        verdicts = [[one.holds(held(one.column, row)) for one in terms] for row in all_rows(table)]
        expected = [any(each) if any_of else all(each) for each in verdicts]
        found = find_ids(table.pk, Match(terms, any_of))
        assert found == [
            row.pk for row, holds in zip(all_rows(table), expected, strict=True) if holds
        ]
        assert find_ids(table.pk, Match(terms, any_of), most=1) == found[:1]
        transaction.set_rollback(True)


@given(ROWS.filter(bool), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_index_follows_every_change(made, data):
    with transaction.atomic():
        table = made_table(**TYPES)
        for texts in made:
            add_row(table, **texts)
        columns = {one.key: one for one in Column.objects.filter(table=table)}
        for _ in range(3):
            ids = data.draw(
                st.lists(
                    st.sampled_from(list(all_rows(table).values_list("pk", flat=True))), unique=True
                )
            )
            key = data.draw(st.sampled_from(list(TYPES)))
            text = data.draw(TEXTS.filter(lambda text, key=key: readable(TYPES[key], text)))
            rows.update_rows(ids, {columns[key]: cells.read(columns[key], text)})
            for row in all_rows(table).filter(pk__in=ids):
                assert row.data.get(columns[key].field) == cells.read(columns[key], text)
        for row in all_rows(table):
            kept = {one.column_id: one.value for one in row.cells.all()}
            entries = {
                one.pk: cells.index_entry(one, row.data.get(one.field)) for one in columns.values()
            }
            assert kept == {pk: entry for pk, entry in entries.items() if entry is not None}
        transaction.set_rollback(True)


def term(column, name, right, delimiter=""):
    verdict = comparing(find_operator(name), right, delimiter)
    return Term(column, lambda left: verdict(left).passed, keys_of(column, name, right, delimiter))


def held(column, row):
    return cells.given(column, row.data.get(column.field))


def all_rows(table):
    return Row.objects.filter(table=table).order_by("pk")


@pytest.mark.parametrize(
    ("key", "name", "right", "indexed"),
    [
        ("words", "text:is", "gold", True),
        ("words", "text:in_list", "gold,silver", True),
        ("words", "email:is", "a@b.example", True),
        ("amount", "number:equals", "1.50", True),
        ("day", "date:on", "2026-03-31", True),
        ("at", "datetime:is", "2026-03-31T18:00", True),
        ("ok", "text:is", "true", True),
        ("words", "number:equals", "1", False),
        ("words", "text:contains", "old", False),
        ("amount", "number:greater", "1", False),
        ("any", "text:is", "x", False),
    ],
)
def test_equality_is_looked_up_and_the_rest_is_read(key, name, right, indexed):
    table = made_table(**TYPES)
    for number in range(30):
        add_row(table, words=f"row {number}", amount=str(number))
    with CaptureQueriesContext(connection) as captured:
        find_ids(table.pk, Match([term(column(table, key), name, right)]))
    looked_up = ["datastore_cell" in query["sql"] for query in captured][1:]
    assert looked_up == ([True] if indexed else [False, False])


def test_without_a_term_nothing_matches():
    table = made_table(words="text")
    add_row(table, words="x")
    assert find_ids(table.pk, Match([])) == find_ids(table.pk, Match([], any=True)) == []


IS_EMPTY = ("text:is", "")


@pytest.mark.parametrize(
    ("name", "right"), [IS_EMPTY, ("text:is_not", "gold"), ("text:contains", "old")]
)
@pytest.mark.parametrize("any_of", [False, True])
def test_rows_of_other_tables_never_match(name, right, any_of):
    mine, other = made_table(words="text"), made_table("Others", words="text")
    for text in ("", "old", "silver", "cold"):
        add_row(mine, words=text)
        add_row(other, words=text)
    found = find_ids(mine.pk, Match([term(column(mine, "words"), name, right)], any_of))
    assert found and set(found) <= set(all_rows(mine).values_list("pk", flat=True))


@pytest.mark.parametrize("name", ["text:contains", "text:is"])
def test_no_row_is_passed_over_between_two_slices(monkeypatch, name):
    monkeypatch.setattr(matching, "FIRST_SLICE", 2)
    monkeypatch.setattr(matching, "SLICE", 3)
    table = made_table(words="text")
    made = [add_row(table, words="gold").pk for _ in range(9)]
    match = Match([term(column(table, "words"), name, "gold")])
    for most in (None, *range(1, 10)):
        assert find_ids(table.pk, match, most) == made[:most]


@pytest.mark.parametrize("key", ["words", "amount", "day", "ok"])
def test_what_is_blank_is_found_though_the_index_has_no_blank_cells(key):
    table = made_table(**TYPES)
    blank = add_row(table)
    add_row(table, words="gold", amount="1", day="2026-03-31", ok="yes")
    one = column(table, key)
    assert find_ids(table.pk, Match([term(one, *IS_EMPTY)])) == [blank.pk]
