import pytest

from apps.actions.kinds.delete_row import DeleteRow
from apps.datastore.models import Cell, Row
from apps.engine.models import Run
from tests.datastore.made import add_row, column, contents, made_table
from tests.factories import published

pytestmark = pytest.mark.django_db


@pytest.fixture
def stock():
    table = made_table(code="key text", plan="text")
    for code, plan in (("A", "gold"), ("B", "silver"), ("C", "gold")):
        add_row(table, code=code, plan=plan)
    return table


def deleting(table, operator="text:is", value="gold", **more):
    condition = {"column": column(table, "plan"), "operator": operator, "value": value}
    return DeleteRow, {"table": table, "rows": {"conditions": [condition]}, **more}


def codes(table):
    return "".join(row["code"] for row in contents(table))


def test_the_first_match_is_deleted(happen, told, stock):
    first = Row.objects.first().pk
    run = happen([deleting(stock)])
    assert (codes(stock), Cell.objects.count()) == ("BC", 4)
    entry = told(run, "delete_row")
    assert (entry.result, entry.note) == ("done", "1 row deleted")
    assert entry.came_out == {"row_id": first, "count": 1}


def test_all_matches_are_deleted_and_their_keys_are_free(happen, told, stock):
    run = happen([deleting(stock, which="all")])
    assert (codes(stock), Cell.objects.count()) == ("B", 2)
    assert told(run, "delete_row").note == "2 rows deleted"
    add_row(stock, code="A")


def test_no_match_is_a_success(happen, told, stock):
    run = happen([deleting(stock, value="tin")])
    entry = told(run, "delete_row")
    assert (entry.result, entry.came_out) == ("done", {"row_id": None, "count": 0})
    assert codes(stock) == "ABC"


def test_rows_of_other_tables_stay(happen, stock):
    other = made_table("Other", code="text", plan="text")
    add_row(other, code="X", plan="gold")
    happen([deleting(stock, which="all")])
    assert codes(other) == "X"


@pytest.mark.parametrize("value", ["{{ event.none }}", "x'; DROP TABLE datastore_row; --", "%"])
def test_a_missing_or_hostile_value_deletes_nothing(happen, stock, value):
    happen([deleting(stock, value=value, which="all")])
    assert codes(stock) == "ABC"


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_text_that_cannot_be_filled_in_deletes_nothing(happen, told, stock, on_error, state):
    run = happen([deleting(stock, value="{{ 1 | divided_by: 0 }}", on_error=on_error)])
    assert (told(run, "delete_row").result, run.state, codes(stock)) == ("failed", state, "ABC")


def test_a_table_that_is_gone_fails(post, drain, clock, told, stock):
    connector = published([deleting(stock)])
    DeleteRow.objects.all().delete()
    stock.delete()
    post(connector, {})
    drain()
    assert told(Run.objects.get(), "delete_row").note == 'Table "Orders" was deleted'


def test_a_turn_done_again_deletes_one(happen, lost_turn, stock):
    happen([deleting(stock)])
    assert (lost_turn, codes(stock)) == ([True], "BC")


def test_what_is_missing_is_a_problem(stock):
    assert DeleteRow().problems() == ["Choose a table.", "Add at least one condition."]
    published([deleting(stock)])
    assert DeleteRow.objects.get().summary() == "Orders: Plan is gold"
