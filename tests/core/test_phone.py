"""Phone numbers, as people and software write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.phone import canonical, normalise, spellings

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
        "tel:tel:+4915112345678",
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
        ("DE", "41446681800", "+41446681800"),  # though +49 41446681800 would be good, too
        ("DE", "+14155552671", AMERICAN),
        ("US", "(415) 555-2671", AMERICAN),
        ("US", "4155552671", AMERICAN),  # not the Swiss number +41 55 555 26 71
        ("US", "14155552671", AMERICAN),
        # In Florida, and in Luxembourg.
        ("US", "352-233-7466", "+13522337466"),
        ("US", "+352 233 7466", "+3522337466"),
        ("US", "00352 233 7466", "+3522337466"),
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


# --- Numbers with two spellings ------------------------------------------------------------------

TWO_SPELLINGS = [
    ("+5511987654321", "+551187654321"),
    ("+5567996543210", "+556796543210"),
    ("+525512345678", "+5215512345678"),
    ("+5491123456789", "+541123456789"),
    ("+5493515123456", "+543515123456"),
]


@pytest.mark.parametrize(("canonical_one", "other"), TWO_SPELLINGS)
def test_both_spellings_are_read_as_they_are_written_and_mean_each_other(canonical_one, other):
    for number in (canonical_one, other):
        assert normalise(number.removeprefix("+")) == number
        assert spellings(number) == (canonical_one, other)
        assert canonical(number) == canonical_one


@pytest.mark.parametrize(
    "written", ["+54 11 15 2345-6789", "+54 9 11 15 2345-6789", "+54 011 15 2345 6789"]
)
def test_the_argentine_15_is_the_9_of_other_countries(written):
    assert normalise(written) == "+5491123456789"


@pytest.mark.parametrize("number", [GERMAN, AMERICAN, "+551133334444", "ana@example.org", ""])
def test_other_numbers_have_one_spelling(number):
    assert spellings(number) == (number,)


@pytest.mark.parametrize("written", ["+5219999999999999", "+552187", "+549112345678", "+52199"])
def test_a_number_that_neither_spelling_is_good_for_is_refused(written):
    assert normalise(written) is None


@given(st.from_regex(r"\+5[245][0-9]{10,12}", fullmatch=True))
def test_all_spellings_of_a_number_have_the_same_spellings(number):
    found = spellings(number)
    assert number in found
    assert all(spellings(each) == found for each in found)
