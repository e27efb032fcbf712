"""Forms in a browser: rows, fields that show with others, mistakes, searching."""

import re

from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.builder.links import kind_url
from tests.e2e.flow import actions
from tests.factories import (
    CategoryFactory,
    TagFactory,
)


def test_rows_are_added_moved_and_removed_without_a_mouse(owner_page: Page, three):
    rows = [{"left": f"event.{n}", "operator": "text:is", "right": n} for n in "ab"]
    action = Filter.objects.create(step=three, conditions=rows)
    owner_page.goto(kind_url(Filter, "change", action.pk))
    expect(owner_page.get_by_label("Attribute", exact=True)).to_have_count(2)
    owner_page.get_by_role("button", name="Move row 2 up").focus()
    owner_page.keyboard.press("Enter")
    owner_page.get_by_role("button", name="Add condition").focus()
    owner_page.keyboard.press("Enter")
    owner_page.keyboard.type("event.c")
    operator = owner_page.get_by_label("Operator").last
    operator.select_option("text:not_empty")
    owner_page.get_by_role("button", name="Remove row 2").focus()
    owner_page.keyboard.press("Enter")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page).to_have_url(re.compile(r"/flow/#action-\d+$"))
    action.refresh_from_db()
    seen = [(row["left"], row["operator"], row["right"]) for row in action.conditions]
    assert seen == [("event.b", "text:is", "b"), ("event.c", "text:not_empty", "")]


def test_a_filter_asks_for_what_its_conditions_need(owner_page: Page, three):
    gold = CategoryFactory(name="Gold members")
    TagFactory(name="vip")
    owner_page.goto(f"{kind_url(Filter, 'add')}?step={three.pk}")
    owner_page.get_by_label("Attribute", exact=True).fill("event.city")
    delimiter = owner_page.get_by_label("Delimiter")
    owner_page.get_by_label("Operator").select_option("text:is")
    expect(delimiter).to_be_hidden()
    owner_page.get_by_label("Operator").select_option("text:in_list")
    delimiter.fill("|")
    owner_page.get_by_label("Value").fill("Bonn|Köln")

    cells = owner_page.locator("#memberships-0, tr.form-row").first.locator("td")
    owner_page.locator("[name=memberships-0-what]").select_option("has_tag")
    expect(cells.filter(has=owner_page.locator("[name$=-tag]"))).to_be_visible()
    owner_page.locator("[name=memberships-0-what]").select_option("in_category")
    expect(cells.filter(has=owner_page.locator("[name$=-tag]"))).to_be_hidden()
    cells.filter(has=owner_page.locator("[name$=-category]")).locator(".select2-selection").click()
    owner_page.get_by_role("option", name="Gold members").click()
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page).to_have_url(re.compile(r"/flow/#action-\d+$"))
    action = Filter.objects.get()
    assert action.conditions[0]["delimiter"] == "|"
    assert action.memberships.get().category == gold


def test_the_settings_ask_for_what_the_chosen_check_needs(owner_page: Page, three):
    page = owner_page
    page.goto(reverse("admin:connectors_connector_change", args=[three.connector_id]))
    named = {name: page.locator(f"[name={name}]") for name in ("auth_header", "auth_tolerance")}
    named["credential"] = page.locator("[name=credential]")
    for auth, shown in [
        ("none", set()),
        ("basic", {"credential"}),
        ("hmac", {"credential", "auth_header"}),
        ("stripe", {"credential", "auth_tolerance"}),
    ]:
        page.locator("[name=auth]").select_option(auth)
        for name, field in named.items():
            expect(field).to_be_visible(visible=name in shown)


def test_mistakes_in_rows_stay_on_the_page(owner_page: Page, three):
    owner_page.goto(f"{kind_url(Filter, 'add')}?step={three.pk}")
    owner_page.get_by_label("Attribute", exact=True).fill("event.total")
    owner_page.get_by_label("Value").fill("50")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page.get_by_text("Row 1: fill in operator.")).to_be_visible()
    expect(owner_page.get_by_label("Attribute", exact=True)).to_have_value("event.total")
    owner_page.get_by_label("Operator").select_option("number:equals")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page).to_have_url(re.compile("/flow/"))
    assert Filter.objects.get().summary_line == "event.total equals 50"


def test_fields_show_with_what_they_depend_on(owner_page: Page, three):
    owner_page.goto(f"{kind_url(Delay, 'add')}?step={three.pk}")
    date = owner_page.get_by_label("Specified date")
    expect(date).to_be_hidden()
    owner_page.get_by_label("Delay from").select_option(label="Custom Delay")
    expect(date).to_be_visible()
    date.fill("{{ event.start }}")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(actions(owner_page).last).to_contain_text("{{ event.start }}")


def test_tags_are_searched_for(owner_page: Page, three):
    TagFactory(name="vip")
    TagFactory(name="newsletter")
    owner_page.goto(f"{kind_url(AddTag, 'add')}?step={three.pk}")
    owner_page.locator(".select2-selection").first.click()
    owner_page.keyboard.type("vi")
    owner_page.get_by_role("option", name="vip").click()
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(actions(owner_page).last).to_contain_text("vip")
