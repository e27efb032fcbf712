import csv
import io

import pytest

from apps.core.spreadsheets import csv_file, harmless


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "=cmd|' /C calc'!A0",
        "@SUM(A1)",
        "+ana@example.org",
        "-2+3",
        "\t=1",
        "\r=1",
        "+49 151",
    ],
)
def test_what_begins_like_a_formula_is_text(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["+4915112345678", "-12.5", "ana@example.org", "a=b", "", "'x"])
def test_what_computes_nothing_stays_as_it_is(text):
    assert harmless(text) == text


def test_a_file_quotes_what_has_to_be_quoted():
    answer = csv_file("list", ["Name", "Text"], [["Ana", 'a "b", c\nd'], [None, "=1"]])
    body = b"".join(answer.streaming_content).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(body, newline="")))
    assert rows == [["Name", "Text"], ["Ana", 'a "b", c\nd'], ["", "'=1"]]
    assert answer["Content-Disposition"] == 'attachment; filename="list.csv"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
