"""Words by which texts name what operators made: small letters, digits and underscores."""

from collections.abc import Collection

from django.core.validators import RegexValidator
from django.utils.text import slugify

LENGTH = 60
is_key = RegexValidator(
    r"\A[a-z][a-z0-9_]*\Z",
    "Write it in small letters, digits and underscores, a letter first.",
)


def key_from(name: str) -> str:
    """The key that a name makes; empty when it begins with no letter a-z."""
    key = slugify(name).replace("-", "_").strip("_")[:LENGTH]
    return key if key[:1].isalpha() else ""


def free_key(base: str, taken: Collection[str]) -> str:
    """`base`, with the first number behind it that makes it unlike those taken."""
    key, count = base, 1
    while key in taken:
        count += 1
        key = f"{base[: LENGTH - 5]}_{count}"
    return key
