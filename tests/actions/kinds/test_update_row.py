import pytest

from apps.actions.kinds.create_row import CreateRow
from apps.actions.kinds.find_row import FindRow
from apps.actions.kinds.update_row import UpdateRow
from apps.datastore.models import Cell, Row
from apps.engine.models import Attempt, Run
from tests.datastore.made import add_row, column, contents, made_table
from tests.factories import published

pytestmark = pytest.mark.django_db


@pytest.fixture
def stock():
    table = made_table(code="key text", plan="text", left="number", seen="datetime")
    for code, plan, left in (("A", "gold", "1"), ("B", "silver", "2"), ("C", "Gold", "3")):
        add_row(table, code=code, plan=plan, left=left)
    return table


def updating(table, conditions, values, **more):
    rows = {
        "conditions": [
            {"column": column(table, key), "operator": operator, "value": value}
            for key, operator, value in conditions
        ],
        "values": [{"column": column(table, key), "value": text} for key, text in values.items()],
    }
    return UpdateRow, {"table": table, "rows": rows, **more}


IS_GOLD = [("plan", "text:is", "{{ event.plan }}")]
GOLD = {"plan": "GOLD"}


def test_the_first_match_is_changed_in_the_listed_columns_only(happen, told, stock):
    run = happen(
        [updating(stock, IS_GOLD, {"left": "{{ event.left }}"})], event={**GOLD, "left": 9}
    )
    assert contents(stock)[0] == {"code": "A", "plan": "gold", "left": 9}
    assert [row["left"] for row in contents(stock)] == [9, 2, 3]
    first = Row.objects.first()
    entry = told(run, "update_row")
    assert (entry.result, entry.note) == ("done", "1 row updated")
    assert entry.came_out == {"row_id": first.pk, "count": 1}
    assert entry.went_in["conditions"] == [{"condition": "Plan is", "value": "GOLD"}]
    assert (first.cause, first.cause_id) == ("run", run.pk)


def test_all_matches_are_changed_and_found_by_the_new_value(happen, told, stock):
    steps = [
        updating(stock, IS_GOLD, {"plan": "platinum"}, which="all"),
        updating(stock, [("plan", "text:is", "platinum")], {"left": "0"}, which="all"),
    ]
    run = happen(steps, event=GOLD)
    assert [(row["plan"], row["left"]) for row in contents(stock)] == [
        ("platinum", 0),
        ("silver", 2),
        ("platinum", 0),
    ]
    assert told(run, "update_row").came_out["count"] == 2


@pytest.mark.parametrize(
    ("match", "conditions", "codes"),
    [
        ("all", [("plan", "text:is", "gold"), ("left", "number:greater", "1")], "C"),
        ("any", [("plan", "text:is", "silver"), ("left", "number:greater", "2")], "BC"),
        ("any", [("code", "text:in_list", "a, b, x"), ("code", "text:is", "C")], "ABC"),
        ("all", [("code", "text:in_list", "{{ event.codes }}")], "AC"),
        ("all", [("seen", "text:empty", "")], "ABC"),
        ("all", [("left", "number:between", "2,3"), ("plan", "text:is_not", "gold")], "B"),
        ("all", [("plan", "text:is", "{{ event.none }}")], ""),
    ],
)
def test_conditions_decide_as_in_a_filter(happen, stock, match, conditions, codes):
    step = updating(stock, conditions, {"seen": "{{ now }}"}, match=match, which="all")
    happen([step], event={"codes": ["a", "c"]})
    assert "".join(row["code"] for row in contents(stock) if "seen" in row) == codes


def test_no_match_is_a_success(happen, told, stock):
    before = contents(stock)
    run = happen([updating(stock, IS_GOLD, {"left": "9"})], event={"plan": "tin"})
    entry = told(run, "update_row")
    assert (entry.result, entry.note, run.state) == ("done", "No row matched", "done")
    assert entry.came_out == {"row_id": None, "count": 0}
    assert contents(stock) == before


def test_an_empty_value_leaves_its_column_as_it_was(happen, told, stock):
    values = {"left": "{{ event.none }}", "plan": "tin"}
    run = happen([updating(stock, IS_GOLD, values)], event=GOLD)
    assert contents(stock)[0] == {"code": "A", "plan": "tin", "left": 1}
    note = '1 row updated; "Left" left as before, since the new value is empty'
    assert told(run, "update_row").note == note


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
@pytest.mark.parametrize(
    ("values", "more", "sentence"),
    [
        ({"plan": "tin", "left": "lots"}, {}, 'Left: "lots" is not a number.'),
        ({"left": "0", "code": "b"}, {}, 'A row with the key "b" exists already.'),
        ({"left": "0", "code": "x"}, {"which": "all"}, '"x" can\'t be the key of 2 rows.'),
        (
            {"left": "{{ event.none }}"},
            {},
            'The value for "Left" is empty, so nothing was changed.',
        ),
    ],
)
def test_what_can_not_be_kept_changes_nothing(
    happen, stock, on_error, state, values, more, sentence
):
    before, index = contents(stock), list(Cell.objects.values())
    step = updating(stock, IS_GOLD, values, on_error=on_error, label="Failing", **more)
    run = happen([step, updating(stock, [("code", "text:is", "zzz")], {"left": "1"})], event=GOLD)
    entry = Attempt.objects.get(run=run, label="Failing")
    assert (entry.result, run.state) == ("failed", state)
    assert entry.note.startswith(sentence)
    assert (contents(stock), list(Cell.objects.values())) == (before, index)


def test_a_row_keeps_its_own_key(happen, told, stock):
    run = happen([updating(stock, [("code", "text:is", "a")], {"code": "a", "left": "5"})])
    assert told(run, "update_row").result == "done"
    assert contents(stock)[0] == {"code": "a", "plan": "gold", "left": 5}


def test_a_json_value_is_replaced_not_merged(happen):
    table = made_table(code="text", data="json")
    add_row(table, code="A", data='{"a": {"b": 1}, "c": 2}')
    happen([updating(table, [("code", "text:is", "A")], {"data": '{"a": {"d": 1}}'})])
    assert contents(table) == [{"code": "A", "data": {"a": {"d": 1}}}]


def test_a_table_or_column_that_is_gone_fails(post, drain, clock, told, stock):
    connector = published([updating(stock, IS_GOLD, {"left": "1"})])
    UpdateRow.objects.all().delete()
    for gone, note in (
        (column(stock, "left"), 'Column "Orders › Left" was deleted'),
        (stock, 'Table "Orders" was deleted'),
    ):
        gone.delete()
        post(connector, GOLD)
        drain()
        assert told(Run.objects.latest("pk"), "update_row").note == note


def test_a_turn_done_again_changes_once(happen, lost_turn, stock):
    adding = (
        CreateRow,
        {
            "table": stock,
            "rows": {
                "values": [
                    {"column": column(stock, "code"), "value": "D"},
                    {"column": column(stock, "plan"), "value": "gold"},
                ]
            },
        },
    )
    last = [("code", "text:is", "D")]
    finding = (
        FindRow,
        {
            "table": stock,
            "label": "Last",
            "rows": {
                "conditions": [
                    {"column": column(stock, "code"), "operator": "text:is", "value": "d"}
                ]
            },
        },
    )
    run = happen(
        [
            adding,
            updating(stock, last, {"left": "4"}),
            finding,
            updating(stock, last, {"left": "{{ storage.last.row.left | plus: 1 }}"}),
        ]
    )
    assert (lost_turn, run.state) == ([True], "done")
    assert contents(stock)[3:] == [{"code": "D", "plan": "gold", "left": 5}]


def test_what_is_missing_is_a_problem(stock):
    assert UpdateRow().problems() == [
        "Choose a table.",
        "Add at least one condition.",
        "Add at least one column with its value.",
    ]
    conditions = [("left", "number:equals", "1"), ("plan", "text:is", "gold")]
    published([updating(stock, conditions, {"left": "1"})])
    action = UpdateRow.objects.get()
    assert action.problems() == []
    assert action.summary() == "Orders: Left equals 1 and Plan is gold → Left = 1"
    action.conditions.filter(value="1").update(value="x")
    action.conditions.filter(value="gold").update(value="")
    assert action.problems() == [
        'Condition 1: "x" is not a number.',
        "Condition 2: fill in the value to compare with.",
    ]
