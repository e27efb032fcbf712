import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.transfer.neutral import neutral, restore
from apps.core.transfer.pages import csv_download


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "=cmd|' /C calc'!A0",
        "@SUM(A1)",
        "+ana@example.org",
        "-2+3",
        "'=1",
        "-",
        "+",
        "\t=1",
        "\r=1",
        " =1+1",
        "\u00a0=1+1",
        "\ufeff=1+1",
        "\u200b@x",
        "\u3000\uff1d1+1",
        "\uff1dcmd",
        "\uff0b1+1",
        "\u22121+1",
        "'  =1",
        " ' =1".strip(),
    ],
)
def test_what_begins_like_a_formula_is_text(text):
    assert neutral(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        "+4915112345678",
        "+49 151",
        " +49 151",
        "-12.5",
        "  x",
        "\u00a0a=b",
        "ana@example.org",
        "a=b",
        "",
        "'x",
    ],
)
def test_what_computes_nothing_stays_as_it_is(text):
    assert neutral(text) == text


@given(st.text(st.sampled_from("'=+-@\t\r\n1a ,;|.\u00a0\ufeff\uff1d")))
def test_what_went_out_comes_in_as_it_was(text):
    assert restore(neutral(text)) == text


def test_a_file_quotes_what_has_to_be_quoted():
    answer = csv_download("list", ["Name", "Text"], [["Ana", 'a "b", c\nd'], [None, "=1"]])
    body = b"".join(answer.streaming_content).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(body, newline="")))
    assert rows == [["Name", "Text"], ["Ana", 'a "b", c\nd'], ["", "'=1"]]
    assert answer["Content-Disposition"] == 'attachment; filename="list.csv"'
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize("cell", ["a;=1", "a;' =1", "a|@x", "a; \t+cmd", "a\t=1;-2"])
def test_nor_does_a_cell_hold_one_for_another_separator(cell):
    """Spreadsheets of many countries take the semicolon, whatever the file has."""
    for part in re.split("[;|\t]", neutral(cell))[1:]:
        assert not part.strip() or part.strip()[0] == "'" or part.strip()[0] not in "=+-@"
    assert restore(neutral(cell)) == cell
