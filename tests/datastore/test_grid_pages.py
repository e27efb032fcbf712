"""The rows of a table in the back office: browsing and the form of one row."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.datastore.admin import grid
from apps.datastore.models import Cell, Column, Row
from apps.datastore.tables import rows
from tests.datastore.made import add_row, column, contents, made_table

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders():
    return made_table(
        code="key text", total="number", due="date", at="datetime", paid="boolean", note="json"
    )


def page(name, table, *args):
    return reverse(f"admin:datastore_{name}", args=[table.pk, *args])


def shown(client, table, **query):
    """The ids of the rows that the grid shows, and its page."""
    answer = client.get(page("table_rows", table), query)
    return [one.row.pk for one in answer.context["rows"]], answer


def boxes(table, **texts):
    return {f"c{column(table, key).pk}": text for key, text in texts.items()}


def test_a_row_is_added_by_its_types_and_shown(admin_client, orders):
    texts = {
        "code": "A-1",
        "total": "12.50",
        "due": "2026-03-31",
        "at": "2026-03-31T18:00",
        "paid": "true",
        "note": '{"a": [1]}',
    }
    answer = admin_client.post(page("row_add", orders), boxes(orders, **texts))
    assert answer.url == page("table_rows", orders)
    row = Row.objects.get()
    assert contents(orders) == [
        {
            "code": "A-1",
            "total": 12.5,
            "due": "2026-03-31",
            "at": "2026-03-31T18:00:00+00:00",
            "paid": True,
            "note": {"a": [1]},
        }
    ]
    text = admin_client.get(page("table_rows", orders)).content.decode()
    for seen in (f"#{row.pk}", "A-1", "12.5", "2026-03-31 18:00", "Yes", "{&quot;a&quot;: [1]}"):
        assert seen in text
    assert "by hand" in text


def test_mistakes_are_told_at_their_boxes_and_what_was_typed_stays(admin_client, orders):
    add_row(orders, code="A")
    sent = boxes(orders, code="B", total="lots", due="soon", note="{")
    answer = admin_client.post(page("row_add", orders), sent)
    told = [text for texts in answer.context["form"].errors.values() for text in texts]
    assert told == [
        '"lots" is not a number.',
        '"soon" is not a date: write it like 2026-03-31.',
        '"{" is not JSON.',
    ]
    assert 'value="lots"' in answer.content.decode()
    answer = admin_client.post(page("row_add", orders), boxes(orders, code=" a "))
    assert "A row with the key &quot;a&quot; exists already." in answer.content.decode()
    assert contents(orders) == [{"code": "A"}]


def test_only_what_was_changed_is_written(admin_client, orders):
    text = made_table("Texts", body="text", more="text")
    row = add_row(text, body="two\nlines", more="old")
    rows.update_rows([row.pk], {column(text, "more"): "by a run"}, "run", 7)
    answer = admin_client.get(page("row_change", text, row.pk))
    assert "two\nlines" in answer.content.decode()
    sent = boxes(text, body="two\r\nlines", more="by hand")
    admin_client.post(page("row_change", text, row.pk), sent)
    assert contents(text) == [{"body": "two\nlines", "more": "by hand"}]
    row = Row.objects.get(pk=row.pk)
    assert (row.cause, row.cause_id) == ("", None)


def test_a_moment_is_not_rounded_by_saving_the_form(admin_client):
    table = made_table(at="datetime")
    row = add_row(table, at="2026-03-31T18:00:00.123456Z")
    answer = admin_client.get(page("row_change", table, row.pk))
    typed = answer.context["form"].initial
    admin_client.post(page("row_change", table, row.pk), typed)
    assert contents(table) == [{"at": "2026-03-31T18:00:00.123456+00:00"}]


def test_a_cell_is_emptied_by_hand(admin_client, orders):
    row = add_row(orders, code="A", total="1")
    admin_client.post(page("row_change", orders, row.pk), boxes(orders, code="A", total=""))
    assert contents(orders) == [{"code": "A"}]
    assert Cell.objects.count() == 1


def test_a_row_is_deleted_after_a_question(admin_client, orders):
    row, other = add_row(orders, code="A"), add_row(orders, code="B")
    asked = admin_client.get(page("row_delete", orders, row.pk)).content.decode()
    assert f"Delete row {row.pk} of &quot;Orders&quot;" in asked and Row.objects.count() == 2
    admin_client.post(page("row_delete", orders, row.pk))
    assert (Row.objects.get(), Cell.objects.count()) == (other, 1)


def test_pages_go_on_from_the_last_row_both_ways(admin_client, orders, monkeypatch):
    monkeypatch.setattr(grid, "PER_PAGE", 3)
    ids = [add_row(orders, total=str(n)).pk for n in range(8)]
    for order, expected in (({}, ids[::-1]), ({"order": "oldest"}, ids)):
        seen, link = [], ""
        while True:
            answer = admin_client.get(f"{page('table_rows', orders)}?{link}", order)
            if link:
                answer = admin_client.get(f"{page('table_rows', orders)}?{link}")
            seen += [one.row.pk for one in answer.context["rows"]]
            before, link = answer.context["previous"], answer.context["following"]
            if not link:
                break
        assert seen == expected
        answer = admin_client.get(f"{page('table_rows', orders)}?{before}")
        assert [one.row.pk for one in answer.context["rows"]] == expected[3:6]
        answer = admin_client.get(f"{page('table_rows', orders)}?{answer.context['previous']}")
        assert [one.row.pk for one in answer.context["rows"]] == expected[:3]
        assert not answer.context["previous"] and answer.context["following"]


@pytest.mark.parametrize("large", [False, True])
def test_search_looks_into_cells_and_in_large_tables_for_whole_ones(
    admin_client, orders, monkeypatch, large
):
    ana = add_row(orders, code="Ana Silva", total="42")
    ben = add_row(orders, code="Ben 100%", total="142")
    add_row(made_table("Other", title="text"), title="Ana Silva")
    if large:
        monkeypatch.setattr(grid, "SMALL", 1)
    assert shown(admin_client, orders, q=" ana SILVA ")[0] == [ana.pk]
    assert shown(admin_client, orders, q="42")[0] == ([ana.pk] if large else [ben.pk, ana.pk])
    assert shown(admin_client, orders, q="%")[0] == ([] if large else [ben.pk])
    assert shown(admin_client, orders, q=f"#{ben.pk}")[0] == [ben.pk]
    nothing = shown(admin_client, orders, q="nobody")[1].content.decode()
    assert "Show all rows" in nothing and "nobody" in nothing


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 30, "\0", "1.5"])
def test_a_hostile_address_breaks_nothing(admin_client, orders, number):
    add_row(orders, code="A")
    for name in ("after", "before", "q", "order"):
        answer = admin_client.get(page("table_rows", orders), {name: number})
        assert answer.status_code == 200


def test_what_cells_hold_is_text_to_the_page(admin_client, orders):
    evil = "<script>alert(1)</script>"
    row = add_row(orders, code=evil, note=f'"{evil}"')
    Column.objects.filter(table=orders, key="total").update(name="<b>Sum</b>")
    for address in (page("table_rows", orders), page("row_change", orders, row.pk)):
        text = admin_client.get(address).content.decode()
        assert evil not in text and "<b>Sum</b>" not in text and "&lt;script&gt;" in text


def test_the_grid_takes_the_same_queries_for_any_number_of_rows(admin_client, orders):
    def queries(address):
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(address).status_code == 200
        return len(captured)

    row = add_row(orders, code="0")
    pages = [page("table_rows", orders), page("row_change", orders, row.pk)]
    few = [queries(address) for address in pages]
    for number in range(30):
        add_row(orders, code=str(number + 1), total="1")
    assert [queries(address) for address in pages] == few


PAGES = {
    "table_rows": "view_row",
    "table_csv": "view_row",
    "row_add": "add_row",
    "row_change": "view_row",
    "row_delete": "delete_row",
    "table_upload": "add_row",
}


@pytest.mark.parametrize("name", PAGES)
def test_each_page_asks_for_its_permission(orders, name):
    Column.objects.filter(table=orders).update(is_key=False)
    row = add_row(orders, total="1")
    args = [row.pk] if name in ("row_change", "row_delete") else []
    address = page(name, orders, *args)
    user, client = User.objects.create_user("somebody", is_staff=True), Client()
    assert client.get(address).status_code == 302  # to the login
    client.force_login(user)
    mine = Permission.objects.filter(content_type__app_label="datastore")
    user.user_permissions.set(mine.exclude(codename__in=[PAGES[name], "change_row", "add_row"]))
    if name not in ("row_change",):
        assert client.get(address).status_code == 403
    user.user_permissions.set(mine.filter(codename=PAGES[name]))
    assert client.get(address).status_code == 200


def test_who_may_only_look_changes_nothing(orders):
    row = add_row(orders, code="A")
    user, client = User.objects.create_user("looker", is_staff=True), Client()
    user.user_permissions.set(Permission.objects.filter(codename="view_row"))
    client.force_login(user)
    text = client.get(page("row_change", orders, row.pk)).content.decode()
    assert "Save" not in text and "Delete row" not in text
    for name, args in (("row_change", [row.pk]), ("row_add", []), ("row_delete", [row.pk])):
        assert client.post(page(name, orders, *args), boxes(orders, code="B")).status_code == 403
    assert client.post(page("table_upload", orders)).status_code == 403
    assert contents(orders) == [{"code": "A"}]


def test_a_row_of_another_table_is_not_found(admin_client, orders):
    other = add_row(made_table("Other", title="text"), title="x")
    for name in ("row_change", "row_delete"):
        assert admin_client.get(page(name, orders, other.pk)).status_code == 404
        assert admin_client.get(page(name, orders, 9**30)).status_code == 404
