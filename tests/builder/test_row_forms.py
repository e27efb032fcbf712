"""The forms of the actions on rows of tables."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.actions.kinds.create_row import CreateRow
from apps.actions.kinds.find_row import FindRow
from apps.builder.links import kind_url
from tests.builder.test_kind_forms import add_url, fields
from tests.datastore.made import column, made_table
from tests.factories import StepFactory, published

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders():
    return made_table(code="key text", total="number")


def choices(page, prefix="values"):
    """What the first row's select of columns offers."""
    formset = next(
        one.formset for one in page.context["inline_admin_formsets"] if one.formset.prefix == prefix
    )
    widget = formset.forms[0].fields["column"].widget
    widget = getattr(widget, "widget", widget)
    return [group[1][0]["label"] for group in widget.optgroups("column", [""])]


def test_columns_of_the_chosen_table_are_saved(operator, orders):
    made_table("People", title="text")
    code = column(orders, "code")
    rows = {"values-TOTAL_FORMS": 1, "values-0-column": code.pk, "values-0-value": "{{ event.id }}"}
    step = StepFactory()
    answer = operator.post(add_url(CreateRow, step), fields(CreateRow, table=orders.pk, **rows))
    action = CreateRow.objects.get()
    assert answer.status_code == 302
    assert action.summary_line == "Orders: Code = {{ event.id }}"
    page = operator.get(kind_url(CreateRow, "change", action.pk))
    assert choices(page) == ["Select value", "Code", "Total"]
    offered = json.loads(
        page.content.decode()
        .split('id="bo-columns" type="application/json">')[1]
        .split("</script>")[0]
    )
    assert offered["tables"][str(orders.pk)] == [
        [code.pk, "Code", "text"],
        [column(orders, "total").pk, "Total", "number"],
    ]


def test_a_column_of_another_table_is_refused(operator, orders):
    title = column(made_table("People", title="text"), "title")
    rows = {"values-TOTAL_FORMS": 1, "values-0-column": title.pk, "values-0-value": "x"}
    sent = fields(CreateRow, table=orders.pk, **rows)
    page = operator.post(add_url(CreateRow, StepFactory()), sent)
    assert "Choose a column of the table above." in page.content.decode()
    assert not CreateRow.objects.exists()


@pytest.mark.parametrize("table", ["", "x", "0", "9" * 30])
def test_a_table_that_is_none_is_refused(operator, orders, table):
    rows = {"values-TOTAL_FORMS": 1, "values-0-column": column(orders, "code").pk}
    page = operator.post(add_url(CreateRow, StepFactory()), fields(CreateRow, table=table, **rows))
    assert page.status_code == 200 and not CreateRow.objects.exists()


@pytest.mark.parametrize(
    ("operator_name", "value", "sentence"),
    [
        ("number:equals", "lots", "&quot;lots&quot; is not a number."),
        ("text:is", " ", "Fill in the value to compare with."),
        ("text:is", "{{ event.x", "An attribute can&#x27;t be read"),
    ],
)
def test_a_condition_that_could_never_hold_is_refused(
    operator, orders, operator_name, value, sentence
):
    rows = {
        "conditions-TOTAL_FORMS": 1,
        "conditions-0-column": column(orders, "total").pk,
        "conditions-0-operator": operator_name,
        "conditions-0-value": value,
    }
    page = operator.post(add_url(FindRow, StepFactory()), fields(FindRow, table=orders.pk, **rows))
    assert sentence in page.content.decode()
    assert not FindRow.objects.exists()


def found(table):
    condition = {"column": column(table, "code"), "operator": "text:is", "value": "A"}
    return FindRow, {"table": table, "label": "Order", "rows": {"conditions": [condition]}}


def test_later_forms_offer_what_find_row_reads(operator, orders):
    connector = published(
        [
            found(orders),
            (
                CreateRow,
                {
                    "table": orders,
                    "rows": {"values": [{"column": column(orders, "code"), "value": "x"}]},
                },
            ),
        ]
    )
    actions = connector.steps.get().actions.order_by("position")
    before, after = (
        operator.get(kind_url(kind, "change", action.pk)).context["earlier_values"]
        for kind, action in zip((FindRow, CreateRow), actions, strict=True)
    )
    assert not [one for one in before if one.path.startswith("storage.")]
    offered = {one.path: one.sample for one in after}
    step = connector.steps.get()
    assert offered["storage.order.row.total"] == f"{step} › Order › Total (Number)"
    assert {"storage.order.found", "storage.order.count", "storage.order.row.code"} <= set(offered)


def test_the_form_takes_the_same_queries_for_any_number_of_rows(operator, orders):
    def queries():
        action = FindRow.objects.latest("pk")
        with CaptureQueriesContext(connection) as captured:
            operator.get(kind_url(FindRow, "change", action.pk))
        return len(captured)

    published([found(orders)])
    few = queries()
    kind, columns = found(orders)
    columns["rows"]["conditions"] *= 8
    published([(kind, columns)])
    assert queries() == few
