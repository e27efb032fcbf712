"""Phone numbers in one form: E.164 with its plus sign (+4915112345678).

In Brazil, Mexico and Argentina one mobile number is written in two ways, and WhatsApp names people
by the one or the other: `spellings` knows both, and `canonical` which of them stands for it.
"""

import re

import phonenumbers
from django.conf import settings

# A number as people and software write it: digits in any grouping, a plus sign at most in front.
# What a spreadsheet makes of one (4915112345678.0) is read too, its exponent form is not.
_PREFIX = re.compile(r"(tel|sms|whatsapp):", re.IGNORECASE)
_SUFFIX = re.compile(r"(\.0+|@(c\.us|s\.whatsapp\.net))\Z", re.IGNORECASE)
_WRITTEN = re.compile(r"[+＋]?[\d\s().\-/‐‑–—]+")
# Marks of writing direction and the like, which come along when a number is copied.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")

# The canonical spelling and the other one, each as a pattern and as what it is made from. The
# constraint of crm.Contact says the same in SQL.
_TWO_SPELLINGS = {
    "+55": (
        (re.compile(r"\+55(\d\d)9([6-9]\d{7})"), r"+55\1\2"),
        (re.compile(r"\+55(\d\d)([6-9]\d{7})"), r"+55\g<1>9\2"),
    ),
    "+52": ((re.compile(r"\+52(\d{10})"), r"+521\1"), (re.compile(r"\+521(\d{10})"), r"+52\1")),
    "+54": ((re.compile(r"\+549(\d{10})"), r"+54\1"), (re.compile(r"\+54(\d{10})"), r"+549\1")),
}


def normalise(raw: object) -> str | None:
    """`raw` in E.164, or None when it can't be a phone number.

    A number is read with its country code, with or without plus sign, 00, blanks or brackets
    (operators type both); without one, in SWITCHBOARD_COUNTRY when that is set.
    """
    text = _INVISIBLE.sub("", str(raw or "")).strip()
    text = _SUFFIX.sub("", _PREFIX.sub("", text, count=1)).strip()
    if not _WRITTEN.fullmatch(text):
        return None
    digits = "".join(character for character in text if character.isdecimal())
    international = text[0] in "+＋"
    if digits.startswith("00") and not international:
        digits, international = digits[2:], True
    if not 6 <= len(digits) <= 20:
        return None
    country = settings.DEFAULT_COUNTRY
    candidates: list[tuple[str, str | None]] = [("+" + digits, None)]
    if country and not international:
        candidates.insert(0 if _may_be_national(digits, country) else 1, (digits, country))
    found = (_valid(number, region) for number, region in candidates)
    return next((number for number in found if number), None) or _in_its_other_spelling(digits)


def _valid(number: str, region: str | None) -> str | None:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def _in_its_other_spelling(digits: str) -> str | None:
    """A number that numbering plans no longer have, but WhatsApp and old address books do."""
    if digits.startswith("549"):
        # With the 9 of calls from abroad and the 15 of calls from within.
        return _valid("+54" + digits[3:], None)
    number = "+" + digits
    return number if _valid(canonical(number), None) else None


def canonical(number: str) -> str:
    """The spelling that stands for all spellings of a normalised number; a text that is no such
    number is its own."""
    return spellings(number)[0]


def spellings(number: str) -> tuple[str, ...]:
    """All spellings of a normalised number, the canonical one first."""
    if number[:3] not in _TWO_SPELLINGS:
        return (number,)
    (canonical_form, its_other), (other_form, its_canonical) = _TWO_SPELLINGS[number[:3]]
    if match := canonical_form.fullmatch(number):
        return number, match.expand(its_other)
    if match := other_form.fullmatch(number):
        return match.expand(its_canonical), number
    return (number,)


def _may_be_national(digits: str, country: str) -> bool:
    """Whether digits without a country code are more likely a number within the country: where
    such numbers begin with 0, only those are."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    trunk_zero = metadata is not None and metadata.national_prefix == "0"
    return digits.startswith("0") or not trunk_zero
