"""Tables and their columns in the back office."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.create_row import CreateRow
from apps.datastore.models import Cell, Column, Row, Table
from tests.datastore.made import add_row, column, contents, made_table
from tests.factories import published

pytestmark = pytest.mark.django_db

ADD = reverse("admin:datastore_table_add")
LIST = reverse("admin:datastore_table_changelist")


def change(table):
    return reverse("admin:datastore_table_change", args=[table.pk])


def sent(table=None, columns=(), **fields):
    """What the browser sends: each column is a dict; existing ones come first, with `id`."""
    data = {"name": table.name if table else "", "description": "", "key": "", **fields}
    data["columns-TOTAL_FORMS"] = len(columns)
    data["columns-INITIAL_FORMS"] = sum("id" in one for one in columns)
    for number, one in enumerate(columns):
        one = {"type": "text", "default": "", "position": number, **one}
        if one.get("is_key") is False:
            del one["is_key"]
        data |= {f"columns-{number}-{name}": value for name, value in one.items()}
        data[f"columns-{number}-table"] = table.pk if table else ""
    return data


def as_they_are(table, **changes):
    """The existing columns as the form shows them; changes by key."""
    return [
        {
            "id": one.pk,
            "name": one.name,
            "type": one.type,
            "default": one.default,
            "is_key": one.is_key,
            **changes.get(one.key, {}),
        }
        for one in table.columns.all()
    ]


def errors(answer):
    assert answer.status_code == 200
    formset = answer.context["inline_admin_formsets"][0].formset
    return [
        *formset.non_form_errors(),
        *(text for e in formset.errors for x in e.values() for text in x),
    ]


def test_a_table_is_made_with_its_columns_and_leads_to_its_rows(admin_client):
    columns = [
        {"name": "Order  no", "is_key": "on"},
        {"name": "Menge (Stück)", "type": "number"},
        {"name": "order-no"},
    ]
    answer = admin_client.post(ADD, sent(columns=columns, name="My orders"))
    table = Table.objects.get()
    assert answer.url == reverse("admin:datastore_table_rows", args=[table.pk])
    assert (table.name, table.key) == ("My orders", "my_orders")
    kept = table.columns.values_list("name", "key", "type", "is_key")
    assert list(kept) == [
        ("Order no", "order_no", "text", True),
        ("Menge (Stück)", "menge_stuck", "number", False),
        ("order-no", "order_no_2", "text", False),
    ]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ([], "Add at least one column."),
        (
            [{"name": "a", "is_key": "on"}, {"name": "b", "is_key": "on"}],
            "A table can have one key column.",
        ),
        (
            [{"name": "a", "is_key": "on", "type": "json"}],
            "A key column holds text, numbers, dates or dates with times.",
        ),
        ([{"name": "a", "type": "number", "default": "x"}], '"x" is not a number.'),
        (
            [{"name": "a", "is_key": "on", "default": "x"}],
            "The key differs in each row: leave this empty.",
        ),
        ([{"name": "a"}, {"name": "a"}], "Please correct the duplicate data for name."),
        (
            [{"name": f"c{n}"} for n in range(51)],
            "A table can have up to 50 columns; these are 51.",
        ),
    ],
)
def test_what_is_wrong_with_columns_is_told(admin_client, columns, sentence):
    told = errors(admin_client.post(ADD, sent(columns=columns, name="Orders")))
    assert any(sentence in text for text in told), told
    assert not Table.objects.exists()


@pytest.fixture
def orders():
    table = made_table(code="text", total="text", due="date")
    add_row(table, code="A", total="12.50", due="2026-03-31")
    add_row(table, code="B", total="7")
    return table


def test_a_type_changes_when_all_rows_can_be_read_so(admin_client, orders):
    changed = as_they_are(orders, total={"type": "number"}, due={"type": "datetime"})
    admin_client.post(change(orders), sent(orders, changed))
    assert contents(orders) == [
        {"code": "A", "total": 12.5, "due": "2026-03-31T00:00:00+00:00"},
        {"code": "B", "total": 7},
    ]
    found = Cell.objects.filter(column=column(orders, "total")).order_by("row")
    assert list(found.values_list("value", flat=True)) == ["12.5", "7"]


def test_a_type_that_rows_do_not_allow_is_refused_with_an_example(admin_client, orders):
    add_row(orders, total="lots")
    row = add_row(orders, total="more")
    changed = as_they_are(orders, total={"type": "number", "name": "Sum"})
    told = errors(admin_client.post(change(orders), sent(orders, changed)))
    assert (
        "2 rows hold a value that can't be read as the new type, for example: "
        f'"lots" is not a number (row {row.pk - 1}).'
    ) in told
    assert column(orders, "total").name == "Total"
    assert contents(orders)[0]["total"] == "12.50"


def test_the_key_moves_from_column_to_column(admin_client, orders):
    for key, known in (("code", ["a", "b"]), ("total", ["12.50", "7"]), (None, [None, None])):
        changed = as_they_are(orders, code={"is_key": False}, total={"is_key": False})
        changed = [
            one | ({"is_key": "on"} if one["name"].lower() == key else {}) for one in changed
        ]
        answer = admin_client.post(change(orders), sent(orders, changed))
        assert answer.status_code == 302, errors(answer)
        assert list(orders.columns.filter(is_key=True).values_list("key", flat=True)) == (
            [key] if key else []
        )
        rows = Row.objects.order_by("pk").values_list("key_value", flat=True)
        assert list(rows) == known
        admin_client.post(change(orders), sent(orders, as_they_are(orders)))
        assert list(Row.objects.order_by("pk").values_list("key_value", flat=True)) == known


def test_values_that_repeat_are_no_key(admin_client, orders):
    add_row(orders, code=" a")
    changed = as_they_are(orders, code={"is_key": "on"})
    told = errors(admin_client.post(change(orders), sent(orders, changed)))
    assert '2 rows hold "a": the key must differ in each row.' in told


def test_a_key_must_also_differ_once_it_is_of_the_new_type(admin_client):
    table = made_table(code="key text")
    add_row(table, code="1")
    add_row(table, code="1.0")
    changed = as_they_are(table, code={"type": "number"})
    told = errors(admin_client.post(change(table), sent(table, changed)))
    assert '2 rows hold "1": the key must differ in each row.' in told
    assert contents(table) == [{"code": "1"}, {"code": "1.0"}]


def test_a_column_goes_with_what_rows_hold_in_it(admin_client, orders):
    changed = as_they_are(orders, total={"DELETE": "on"})
    admin_client.post(change(orders), sent(orders, changed))
    assert contents(orders) == [{"code": "A", "due": "2026-03-31"}, {"code": "B"}]
    assert Cell.objects.count() == 3


def using(table):
    values = [{"column": column(table, "code"), "value": "A"}]
    columns = {"table": table, "label": "Keep", "rows": {"values": values}}
    return published([(CreateRow, columns)], name="Shop").steps.get()


def test_what_an_action_uses_is_not_deleted(admin_client, orders):
    step = using(orders)
    changed = as_they_are(orders, code={"DELETE": "on"})
    told = errors(admin_client.post(change(orders), sent(orders, changed)))
    place = f"Shop › {step.name} › Keep"
    assert f'The column "Orders › Code" can\'t be deleted: it is used by {place}.' in told
    page = reverse("admin:datastore_table_delete", args=[orders.pk])
    answer = admin_client.post(page, {"post": "yes"}, follow=True)
    assert f"it is used by {place}." in answer.content.decode()
    assert (Column.objects.count(), Row.objects.count()) == (3, 2)


def test_a_table_is_deleted_with_all_of_its_rows(admin_client, orders):
    other = made_table("Other", code="text")
    add_row(other, code="stays")
    page = reverse("admin:datastore_table_delete", args=[orders.pk])
    assert "with all of its rows: 2" in admin_client.get(page).content.decode()
    admin_client.post(page, {"post": "yes"})
    assert (Table.objects.get(), contents(other)) == (other, [{"code": "stays"}])
    assert Cell.objects.count() == 1


def test_several_are_deleted_from_the_list(admin_client, orders):
    chosen = {"action": "delete_selected", "_selected_action": [orders.pk], "post": "yes"}
    admin_client.post(LIST, chosen)
    assert not Table.objects.exists() and not Row.objects.exists()


def test_the_list_counts_with_the_same_queries_for_any_number(admin_client, orders):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            text = admin_client.get(LIST).content.decode()
        return len(captured), text

    few, text = queries()
    assert 'data-label="Rows">2</td>' in text and 'data-label="Columns">3</td>' in text
    for number in range(12):
        made_table(f"Table {number}", code="text")
    many, text = queries()
    assert many == few and text.count('data-label="Rows">0</td>') == 12


def test_a_key_does_not_change_and_the_first_letter_is_needed(admin_client, orders):
    told = admin_client.post(ADD, sent(columns=[{"name": "a"}], name="2026")).content.decode()
    assert "Fill in the key: the name begins with no letter a-z." in told
    admin_client.post(change(orders), sent(orders, as_they_are(orders), key="other", name="Sales"))
    orders.refresh_from_db()
    assert (orders.name, orders.key) == ("Sales", "orders")
