"""CSV out and in."""

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core.transfer.text import neutral_lines
from apps.datastore.models import Cell, Column, Row
from apps.datastore.tables import schema, sheets
from apps.datastore.tables.sheets import NotTaken, take_in
from tests.datastore.made import add_row, column, contents, made_table

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders():
    return made_table(
        code="key text", total="number", due="date", at="datetime", paid="boolean", note="json"
    )


def lines_of(text):
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def test_the_whole_table_goes_out_in_slices(admin_client, orders, monkeypatch):
    monkeypatch.setattr(schema, "SLICE", 2)
    texts = {
        "total": "-12.5",
        "due": "2026-03-31",
        "at": "2026-03-31T18:00",
        "paid": "no",
        "note": '{"ä":1}',
    }
    add_row(orders, code="A", **texts)
    for number in range(4):
        add_row(orders, code=f"B{number}")
    answer = admin_client.get(reverse("admin:datastore_table_csv", args=[orders.pk]))
    assert answer["Content-Disposition"] == 'attachment; filename="orders.csv"'
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.streaming
    lines = lines_of(b"".join(answer.streaming_content).decode())
    assert lines[0] == ["Code", "Total", "Due", "At", "Paid", "Note"]
    assert lines[1] == [
        "A",
        "-12.5",
        "2026-03-31",
        "2026-03-31T18:00:00+00:00",
        "false",
        '{"ä": 1}',
    ]
    assert [line[0] for line in lines[1:]] == ["A", "B0", "B1", "B2", "B3"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(TEXTS, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_table_that_went_out_comes_back_the_same(texts):
    table = made_table(
        f"From {Row.objects.count()} {Column.objects.count()}", words="text", n="number"
    )
    for number, text in enumerate(texts):
        add_row(table, words=text, n=str(number))
    into = made_table(f"To {Column.objects.count()}", words="text", n="number")
    take_in(into, "".join(neutral_lines(sheets.header(table), sheets.lines(table))).encode())
    assert contents(into) == contents(table)


def test_rows_come_in_with_defaults_and_are_found_by_the_index(orders):
    Column.objects.filter(table=orders, key="total").update(default="7")
    taken = take_in(orders, b'\xef\xbb\xbfcode;Paid;NOTE\r\nA;yes;"[1]"\r\n\r\nB;;\r\n')
    assert (taken.added, taken.changed) == (2, 0)
    assert contents(orders) == [
        {"code": "A", "total": 7, "paid": True, "note": [1]},
        {"code": "B", "total": 7},
    ]
    assert list(Row.objects.order_by("pk").values_list("key_value", flat=True)) == ["a", "b"]
    assert Cell.objects.filter(column=column(orders, "code")).count() == 2


def test_a_known_key_changes_its_row_in_the_columns_of_the_file(orders):
    add_row(orders, code="A", total="1", paid="yes")
    taken = take_in(orders, b"Code,Total,Due\n a ,2.5,\nB,3,2026-03-31\n")
    assert (taken.added, taken.changed) == (1, 1)
    assert contents(orders) == [
        {"code": "a", "total": 2.5, "paid": True},
        {"code": "B", "total": 3, "due": "2026-03-31"},
    ]
    entries = Cell.objects.filter(column=column(orders, "total")).order_by("row")
    assert list(entries.values_list("value", flat=True)) == ["2.5", "3"]


@pytest.mark.parametrize(
    ("raw", "problems"),
    [
        (b"", ["The file is empty: its first line names the columns."]),
        (b"\xff\xfe", ["The file is not in UTF-8: save it as CSV UTF-8."]),
        (b"code\n\0", ["This is not a CSV file."]),
        (
            b"Code,Sum,,Code\n",
            [
                'The table has no column "Sum".',
                'The table has no column "".',
                'The column "Code" stands in the first line twice.',
            ],
        ),
        (
            b"Code,Total\nA,lots\nB,1\n,2\na,3\nC,4,5\n",
            [
                'Line 2: Total: "lots" is not a number.',
                "Line 4: fill in the key.",
                "Line 5: the key stands in line 2, too.",
                "Line 6: there are more cells than columns.",
            ],
        ),
        (b"Code\n" + b"A\n" * 11, ["The file has more than 10 rows: split it."]),
        (b'Code\n"' + b"x" * 200_000 + b'"', None),
    ],
)
def test_a_wrong_file_changes_nothing_and_says_where(orders, settings, raw, problems):
    settings.MAX_SHEET_ROWS = 10
    add_row(orders, code="Z", total="1")
    with pytest.raises(NotTaken) as refused:
        take_in(orders, raw)
    assert problems is None or refused.value.problems == problems
    assert contents(orders) == [{"code": "Z", "total": 1}]


def upload(client, table, raw):
    sent = {"file": SimpleUploadedFile("rows.csv", raw)}
    return client.post(reverse("admin:datastore_table_upload", args=[table.pk]), sent, follow=True)


def test_the_page_takes_a_file_or_lists_what_is_wrong(admin_client, orders, settings):
    text = upload(admin_client, orders, b"Code,Total\nA,1\n").content.decode()
    assert "1 row added, 0 changed." in text
    wrong = b"Code,Total\n" + b"".join(b"B%d,<b>\n" % n for n in range(25))
    text = upload(admin_client, orders, wrong).content.decode()
    assert "Nothing was taken in." in text and "And 5 more." in text
    assert "Line 2: Total: &quot;&lt;b&gt;&quot; is not a number." in text
    settings.MAX_SHEET_BYTES = 1024 * 1024
    text = upload(admin_client, orders, b"x" * (1024 * 1024 + 1)).content.decode()
    assert "The file is larger than 1 MB: split it." in text
    page = reverse("admin:datastore_table_upload", args=[orders.pk])
    assert "Choose a CSV file." in admin_client.post(page).content.decode()
    assert Row.objects.count() == 1


def test_ten_thousand_rows_come_in_with_few_statements(orders, django_assert_max_num_queries):
    raw = "Code,Total\n" + "".join(f"code {n},{n}\n" for n in range(10_000))
    with django_assert_max_num_queries(100):
        take_in(orders, raw.encode())
    assert Row.objects.count() == 10_000
