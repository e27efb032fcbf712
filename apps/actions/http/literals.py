"""Secrets that stand in a text themselves, known by their shape or by how random they look.

A guess that errs costs its operator one tick; a miss would show a key in logs and exports. What is
inside an attribute counts only where it is quoted: paths such as event.order_id are long as well.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

# Services mark their keys, so that they are found in places like these.
_SHAPES = re.compile(
    r"""(?x)
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    | \b eyJ[\w-]{8,999}\.[\w-]{8,999}(?:\.[\w-]*)?             # JSON web tokens
    | \b (?:AKIA|ASIA)[A-Z0-9]{16}\b                            # AWS
    | \b AIza[\w-]{30,}                                         # Google
    | \b ya29\.[\w-]{10,}
    | \b gh[pousr]_\w{16,} | \b github_pat_\w{16,} | \b glpat-[\w-]{16,}
    | \b xox[a-z]-[\w-]{8,} | \b xapp-[\w-]{8,}                 # Slack
    | \b T[A-Z0-9]{7,12}/B[A-Z0-9]{7,12}/\w{16,}
    | \b (?:sk|rk|pk)_(?:live|test)_\w{8,} | \b whsec_[\w+/=]{8,}   # Stripe
    | \b sk-[\w-]{16,}                                          # OpenAI, Anthropic
    | \b SG\.[\w-]{10,99}\.[\w-]{10,99}                         # SendGrid
    | \b xkeysib-[\w-]{16,}                                     # Brevo
    | \b key-[0-9a-f]{32}\b | \b [0-9a-f]{32}-us\d{1,3}\b       # Mailgun, Mailchimp
    | (?<!\d)\d{6,12}:[\w-]{30,}                                # Telegram
    | (?<=/hooks/catch/)\d+/\w+                                 # Zapier
    | \b shp(?:at|ss|ca|pa)_[0-9a-fA-F]{16,}                    # Shopify
    | \b EAA[A-Za-z0-9]{20,}                                    # Meta
    | \b npm_\w{20,} | \b pypi-[\w-]{20,} | \b hf_\w{20,} | \b dop_v1_\w{20,}
    """
)
_TOKEN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+=~-]{15,}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?=.*[a-f])(?=.*[0-9])[0-9a-f]{24,}|(?=.*[A-F])(?=.*[0-9])[0-9A-F]{24,}")
# An attribute as it is written. (One doesn't begin within another, so that nothing is read twice.)
ATTRIBUTE = r"\{\{(?:(?!\{\{|\}\}).)*\}\}|\{%(?:(?!\{%|%\}).)*%\}"
_CODE = re.compile(ATTRIBUTE, re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}", re.IGNORECASE)
# Words before a secret that are none themselves.
_SCHEMES = re.compile(r"(?i)\b(?:bearer|basic|token|digest|apikey|key|hmac|sha256|v1)\b[ :=]*")
_LEAST_MIXED, _LEAST_BITS = 12, 3.0
# Nobody has a longer one; pictures in a text are longer.
_LONGEST = 4_096
# Beside an attribute, under a name that says secret.
_BESIDE = re.compile(r"[A-Za-z0-9_+=~/.-]{6,}")


def in_text(text: str) -> tuple[str, ...]:
    """What looks like a secret in a text as it is written, in order, each once."""
    found = []
    for part in _written(text):
        shapes = [match.group() for match in _SHAPES.finditer(part)]
        rest = _SHAPES.sub(" ", part)
        found += shapes + [
            token for token in _TOKEN.findall(rest) if len(token) <= _LONGEST and _is_random(token)
        ]
    return tuple(dict.fromkeys(found))


def beside_attributes(value: str) -> tuple[str, ...]:
    """What stands next to an attribute, in a place that is named like a secret: its words are
    judged more strictly there."""
    pieces = [piece for part in _written(value) for piece in _BESIDE.findall(_without_scheme(part))]
    return tuple(dict.fromkeys(p for p in pieces if any(c.isdigit() for c in p) or _is_random(p)))


def has_attribute(text: str) -> bool:
    return bool(_CODE.search(text))


def _written(text: str) -> Iterator[str]:
    """The pieces of a text that stand in it themselves: around attributes, and quoted in them."""
    yield _CODE.sub("\n", text)
    for code in _CODE.findall(text):
        for quoted in _QUOTED.findall(code):
            yield quoted[1:-1]


def _without_scheme(text: str) -> str:
    return _SCHEMES.sub(" ", text)


def _is_random(token: str) -> bool:
    if _UUID.search(token):
        return True
    pieces = [piece for piece in re.split(r"[_+=~-]", token) if piece]
    if any(_HEX.fullmatch(piece) for piece in pieces):
        return True
    mixed = sum(len(piece) for piece in pieces if _is_mixed(piece))
    return mixed >= _LEAST_MIXED and _bits(token) >= _LEAST_BITS


def _is_mixed(piece: str) -> bool:
    """Letters and digits, or capitals and small letters, as no word and no number mixes them."""
    kinds = ["d" if c.isdigit() else "l" for c in piece]
    if sum(a != b for a, b in pairwise(kinds)) >= 3:
        return True
    letters = re.sub(r"\d+", "", piece)
    if len(letters) < _LEAST_MIXED:
        return False
    if letters.islower() or letters.isupper():
        return bool(_CONSONANTS.search(letters))
    small = re.findall(r"[a-z]+", letters)
    return len("".join(small)) / len(small) < 2.6 if small else False


def _bits(token: str) -> float:
    """Shannon's entropy, in bits for each character."""
    counts = Counter(token).values()
    return -sum(n / len(token) * math.log2(n / len(token)) for n in counts)
