import pytest

from apps.actions.kinds.empty_row import EmptyRow
from apps.datastore.models import Cell
from apps.engine.models import Run
from tests.datastore.made import add_row, column, contents, made_table
from tests.factories import published

pytestmark = pytest.mark.django_db


@pytest.fixture
def stock():
    table = made_table(code="key text", plan="text", left="number")
    for code, plan in (("A", "gold"), ("B", "silver"), ("C", "gold")):
        add_row(table, code=code, plan=plan, left="1")
    return table


def emptying(table, *keys, value="gold", **more):
    condition = {"column": column(table, "plan"), "operator": "text:is", "value": value}
    columns = [{"column": column(table, key)} for key in keys]
    return EmptyRow, {
        "table": table,
        "rows": {"conditions": [condition], "columns": columns},
        **more,
    }


def test_all_but_the_key_is_emptied_and_the_row_stays(happen, told, stock):
    run = happen([emptying(stock)])
    assert contents(stock)[0] == {"code": "A"}
    assert contents(stock)[2] == {"code": "C", "plan": "gold", "left": 1}
    assert Cell.objects.count() == 7
    entry = told(run, "empty_row")
    assert (entry.result, entry.note, entry.came_out["count"]) == ("done", "1 row emptied", 1)


def test_only_the_listed_columns_are_emptied(happen, stock):
    happen([emptying(stock, "left", which="all")])
    kept = {"plan": "gold"}
    assert contents(stock)[0] == {"code": "A", **kept}
    assert contents(stock)[2] == {"code": "C", **kept}


def test_a_key_that_is_emptied_is_free(happen, stock):
    happen([emptying(stock, "code", which="all")])
    assert [row.get("code") for row in contents(stock)] == [None, "B", None]
    add_row(stock, code="a")


def test_no_match_is_a_success(happen, told, stock):
    before = contents(stock)
    run = happen([emptying(stock, value="tin")])
    assert told(run, "empty_row").came_out == {"row_id": None, "count": 0}
    assert contents(stock) == before


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_a_column_that_is_gone_empties_nothing(post, drain, clock, told, stock, on_error, state):
    connector = published([emptying(stock, "left", "code", on_error=on_error)])
    EmptyRow.objects.all().delete()
    column(stock, "left").delete()
    before = contents(stock)
    post(connector, {})
    drain()
    run = Run.objects.get()
    assert told(run, "empty_row").note == 'Column "Orders › Left" was deleted'
    assert (run.state, contents(stock)) == (state, before)


def test_a_turn_done_again_empties_once(happen, lost_turn, stock):
    happen([emptying(stock)])
    assert (lost_turn, contents(stock)[0]) == ([True], {"code": "A"})


def test_what_is_missing_is_a_problem(stock):
    assert EmptyRow().problems() == ["Choose a table.", "Add at least one condition."]
    published([emptying(stock)], [emptying(stock, "left")])
    assert [action.summary() for action in EmptyRow.objects.order_by("pk")] == [
        "Orders: Plan is gold → all columns but the key",
        "Orders: Plan is gold → Left",
    ]
