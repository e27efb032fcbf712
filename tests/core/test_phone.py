"""Phone numbers, as people and software write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.phone import normalise

GERMAN = "+4915112345678"
AMERICAN = "+14155552671"


@pytest.mark.parametrize(
    "written",
    [
        "+4915112345678",
        "4915112345678",
        4915112345678,
        "004915112345678",
        " +49 151 1234-5678 ",
        "+49 (0)151 / 12345678",
        "+49.151.12345678",
        "4915112345678.0",
        4915112345678.0,
        "4915112345678@c.us",
        "4915112345678@s.whatsapp.net",
        "tel:+49-151-12345678",
        "whatsapp:+4915112345678",
        "\u202a+49\u00a0151\u00a012345678\u202c",
        "＋４９１５１１２３４５６７８",
        "٤٩١٥١١٢٣٤٥٦٧٨",
    ],
)
def test_a_number_with_its_country_code_is_read(written):
    assert normalise(written) == GERMAN


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        0,
        True,
        "+",
        "12345",
        "0151 12345678",
        "+49151",
        "+491511234567890123",
        "+999123456789",
        "4.915112345678e+12",
        "+49151+12345678",
        "order 4915112345678",
        "+4915112345678 ext 5",
        "+4915112345678, +14155552671",
        "ana@example.com",
        "+4915112345678\x00",
        "\ud800",
        {"phone": GERMAN},
    ],
)
def test_what_is_no_number_is_refused(written):
    assert normalise(written) is None


@pytest.mark.parametrize(
    ("country", "written", "expected"),
    [
        ("DE", "0151 12345678", GERMAN),
        ("DE", "15112345678", GERMAN),
        ("DE", "14155552671", AMERICAN),  # German numbers begin with 0, so this one is foreign
        ("DE", "0014155552671", AMERICAN),
        ("DE", "+14155552671", AMERICAN),
        ("US", "(415) 555-2671", AMERICAN),
        ("US", "4155552671", AMERICAN),  # not the Swiss number +41 55 555 26 71
        ("US", "14155552671", AMERICAN),
        ("US", "4915112345678", GERMAN),
        ("RU", "89161234567", "+79161234567"),
        ("ES", "612 345 678", "+34612345678"),
        ("XX", "4915112345678", GERMAN),
    ],
)
def test_without_a_country_code_the_country_of_the_settings_counts(
    settings, country, written, expected
):
    settings.DEFAULT_COUNTRY = country
    assert normalise(written) == expected


@given(st.text() | st.from_regex(r"[+0]?[0-9 ()-]{6,20}"))
def test_reading_a_number_again_changes_nothing(text):
    number = normalise(text)
    assert number is None or (number.startswith("+") and normalise(number) == number)
