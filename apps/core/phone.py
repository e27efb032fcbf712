"""Phone numbers in one form: E.164 with its plus sign (+4915112345678)."""

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
    for number, region in candidates:
        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    return None


def _may_be_national(digits: str, country: str) -> bool:
    """Whether digits without a country code are more likely a number within the country: where
    such numbers begin with 0, only those are."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    trunk_zero = metadata is not None and metadata.national_prefix == "0"
    return digits.startswith("0") or not trunk_zero
