"""What makes two addresses the same: capitals of an email address and the spellings of a mobile
number (core.phone) don't count. Lists are written in the canonical form and read in any."""

from collections.abc import Iterable

from apps.core import phone


def canonical(address: str) -> str:
    """The form that stands for an address: of a normalised number or of an email address."""
    return address.lower() if "@" in address else phone.canonical(address)


def spelled(addresses: Iterable[str]) -> set[str]:
    """All forms in which a row may hold one of these addresses."""
    forms: set[str] = set()
    for address in addresses:
        forms.update([canonical(address)] if "@" in address else phone.spellings(address))
    return forms
