import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.create_row import CreateRow
from apps.crm.models import ContactTag
from apps.datastore.models import Cell, Column, Row
from apps.engine.models import Attempt, Run
from tests.datastore.made import column, contents, made_table
from tests.factories import published

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"


@pytest.fixture
def orders():
    return made_table(code="key text", total="number", due="date", paid="boolean", note="json")


def creating(table, _more=None, **texts):
    values = [{"column": column(table, key), "value": text} for key, text in texts.items()]
    return CreateRow, {"table": table, "rows": {"values": values}, **(_more or {})}


def test_a_row_with_typed_values_is_added_and_later_actions_read_its_id(happen, told, orders):
    step = creating(
        orders,
        code="{{ event.id }}",
        total="{{ event.total }}",
        due="2026-03-31",
        paid="{{ event.paid }}",
        note="{{ event.items }}",
    )
    tag = (AddTag, {"new_tags": "row {{ storage.create_new_row.row_id }}"})
    event = {"id": "A-1", "total": 12.50, "paid": True, "items": [{"sku": "x"}], "phone": PHONE}
    run = happen([step, tag], event=event, mapping={"phone": "{{ event.phone }}"})
    row = Row.objects.get()
    assert contents(orders) == [
        {"code": "A-1", "total": 12.5, "due": "2026-03-31", "paid": True, "note": [{"sku": "x"}]}
    ]
    assert (row.key_value, row.cause, row.cause_id) == ("a-1", "run", run.pk)
    assert ContactTag.objects.get().tag.name == f"row {row.pk}"
    entry = told(run, "create_row")
    assert (entry.result, entry.note) == ("done", f'Row {row.pk} added to "Orders"')
    assert entry.came_out == {"row_id": row.pk, "count": 1}
    assert entry.went_in["Code"] == "A-1"


def test_what_is_not_given_has_the_default_of_its_column(happen, orders):
    Column.objects.filter(table=orders, key="total").update(default="1.5")
    Column.objects.filter(table=orders, key="paid").update(default="no")
    happen([creating(orders, code="A", total="{{ event.none }}")])
    assert contents(orders) == [{"code": "A", "total": 1.5, "paid": False}]


def test_it_needs_no_contact_and_takes_an_empty_key(happen, orders):
    for _ in range(2):
        happen([creating(orders, total="1")])
    assert contents(orders) == [{"total": 1}, {"total": 1}]


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"code": " a-1 "}, 'A row with the key "a-1" exists already.'),
        ({"total": "lots"}, 'Total: "lots" is not a number.'),
        ({"total": "1234567890123456"}, "Total: "),
        ({"due": "soon"}, 'Due: "soon" is not a date: write it like 2026-03-31.'),
        ({"paid": "maybe"}, 'Paid: "maybe" is neither true nor false.'),
        ({"note": "{"}, 'Note: "{" is not JSON.'),
        ({"note": '"' + "x" * 10_241 + '"'}, "Note: The value is larger than 10,240 bytes."),
        ({"code": "x" * 201}, "Code: The key is longer than 200 characters."),
        ({"code": "{{ 1 | divided_by: 0 }}"}, "An attribute can't be filled in: "),
    ],
)
def test_what_can_not_be_kept_fails_with_a_sentence(
    happen, told, orders, on_error, state, texts, sentence
):
    happen([creating(orders, code="A-1")])
    failing = creating(orders, {"on_error": on_error, "label": "Failing"}, **texts)
    run = happen([failing, creating(orders, code="after")])
    entry = Attempt.objects.get(run=run, label="Failing")
    assert (entry.result, run.state) == ("failed", state)
    assert entry.note.startswith(sentence)
    after = [{"code": "after"}] if on_error == "continue" else []
    assert contents(orders) == [{"code": "A-1"}, *after]


def test_a_table_that_is_gone_fails(post, drain, clock, told, orders):
    connector = published([creating(orders, code="A")])
    CreateRow.objects.all().delete()  # from the draft, which frees the table
    orders.delete()
    post(connector, {})
    drain()
    assert told(Run.objects.get(), "create_row").note == 'Table "Orders" was deleted'


def test_a_turn_done_again_adds_one(happen, lost_turn, orders):
    run = happen([creating(orders, code="A")])
    assert (lost_turn, run.state) == ([True], "done")
    assert (contents(orders), Cell.objects.count()) == ([{"code": "A"}], 1)


def test_a_column_that_is_gone_fails_and_adds_nothing(post, drain, clock, told, orders):
    connector = published([creating(orders, code="A", total="1")])
    CreateRow.objects.all().delete()
    column(orders, "total").delete()
    post(connector, {})
    drain()
    assert told(Run.objects.get(), "create_row").note == 'Column "Orders › Total" was deleted'
    assert not Row.objects.exists()


def test_what_is_missing_is_a_problem(orders):
    assert CreateRow().problems() == [
        "Choose a table.",
        "Add at least one column with its value.",
    ]
    published([creating(orders, code="A", total="{{ event.total }}")])
    action = CreateRow.objects.get()
    assert action.problems() == []
    assert action.summary() == "Orders: Code = A, Total = {{ event.total }}"
    action.table = made_table("People", title="text")
    assert action.problems() == [
        'The column "Code" is not in the table "People".',
        'The column "Total" is not in the table "People".',
    ]
