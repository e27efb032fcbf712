"""Tables in a browser: their pages, and the form of an action on rows."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.actions.kinds.update_row import UpdateRow
from apps.builder.links import kind_url
from apps.datastore.models import Table
from tests.datastore.made import add_row, contents, made_table
from tests.factories import StepFactory


def test_a_table_is_made_filled_and_searched(owner_page: Page):
    owner_page.goto(reverse("admin:datastore_table_add"))
    owner_page.get_by_label("Name", exact=False).first.fill("Vouchers")
    owner_page.locator("[name=columns-0-name]").fill("Code")
    owner_page.locator("[name=columns-0-is_key]").check(force=True)
    owner_page.locator("[name=columns-1-name]").fill("Worth")
    owner_page.locator("[name=columns-1-type]").select_option("number")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page.get_by_text("No rows yet.")).to_be_visible()

    owner_page.get_by_role("link", name="Add row").click()
    owner_page.get_by_label("Code").fill("SPRING")
    owner_page.get_by_label("Worth").fill("ten")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page.get_by_text('"ten" is not a number.')).to_be_visible()
    owner_page.get_by_label("Worth").fill("10")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page.get_by_role("cell", name="SPRING")).to_be_visible()
    assert contents(Table.objects.get()) == [{"code": "SPRING", "worth": 10}]

    owner_page.get_by_role("searchbox", name="Search rows").fill("autumn")
    owner_page.keyboard.press("Enter")
    expect(owner_page.get_by_text("No row has “autumn” in a cell")).to_be_visible()


def test_the_chosen_table_decides_which_columns_and_operators_are_offered(owner_page: Page):
    vouchers = made_table("Vouchers", code="key text", worth="number")
    people = made_table("People", title="text")
    step = StepFactory()
    owner_page.goto(f"{kind_url(UpdateRow, 'add')}?step={step.pk}")
    column = owner_page.locator("select[name=conditions-0-column]")
    operator = owner_page.locator("select[name=conditions-0-operator]")
    expect(column.locator("option")).to_have_text(["Choose a table first"])
    owner_page.locator("select[name=table]").select_option(str(people.pk))
    expect(column.locator("option")).to_have_text(["Select value", "Title"])
    owner_page.locator("select[name=table]").select_option(str(vouchers.pk))
    expect(column.locator("option")).to_have_text(["Select value", "Code", "Worth"])
    column.select_option(label="Worth")
    expect(operator.locator("optgroup:not([hidden])")).to_have_attribute("label", "Numeric")
    operator.select_option("number:greater")
    owner_page.locator("textarea[name=conditions-0-value]").fill("5")
    owner_page.get_by_text("Add another New value").click()
    added = owner_page.locator("select[name=values-1-column]")
    expect(added.locator("option")).to_have_text(["Select value", "Code", "Worth"])
    owner_page.locator("select[name=values-0-column]").select_option(label="Worth")
    owner_page.locator("textarea[name=values-0-value]").fill("0")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page.get_by_text("Vouchers: Worth greater than 5 → Worth = 0")).to_be_visible()
    owner_page.goto(kind_url(UpdateRow, "change", UpdateRow.objects.get().pk))
    expect(column.locator("option:checked")).to_have_text("Worth")


@pytest.mark.parametrize("width", [1440, 390])
def test_wide_tables_scroll_inside_their_box(owner_page: Page, width):
    table = made_table("Wide", **{f"column_{n}": "text" for n in range(30)})
    row = add_row(table, column_1="https://shop.example/" + "track" * 60, column_2="word " * 500)
    owner_page.set_viewport_size({"width": width, "height": 844})
    for name, args in (
        ("table_changelist", []),
        ("table_change", [table.pk]),
        ("table_rows", [table.pk]),
        ("row_add", [table.pk]),
        ("row_change", [table.pk, row.pk]),
        ("table_upload", [table.pk]),
    ):
        owner_page.goto(reverse(f"admin:datastore_{name}", args=args))
        assert owner_page.evaluate("document.documentElement.scrollWidth") == width, name
