"""Cells that a spreadsheet would take for formulas, made plain text and back.

Text that begins like a formula gets an apostrophe in front. Numbers, telephone numbers among them,
stay: nothing is computed there. `restore` undoes `neutral` exactly, so what was exported is
imported as it was.
"""

import re

# Also behind what spreadsheets pass over or don't show, and in the full-width forms, which some of
# them read like the others.
_BLANK = r"[\s\ufeff\u180e\u200b-\u200f\u2060]*"
_SIGN = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20\u2212\ufe62\ufe63\ufe66\ufe6b]"
_FORMULA = re.compile(rf"'*{_BLANK}{_SIGN}")
_NUMBER = re.compile(r" *[+-]?[0-9][0-9 ]*([.,][0-9]+)?")
_NEUTRAL = re.compile(rf"'+{_BLANK}{_SIGN}")


# Where a spreadsheet that takes another sign than the comma begins a cell of its own.
_INSIDE = re.compile(rf"(?!\A)[;|\t](?='*{_BLANK}{_SIGN})")
_INSIDE_NEUTRAL = re.compile(rf"(?!\A)([;|\t])'(?='*{_BLANK}{_SIGN})")


def neutral(cell: str) -> str:
    """The cell as a spreadsheet may read it."""
    cell = _INSIDE.sub(lambda found: f"{found.group()}'", cell)
    return "'" + cell if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def restore(cell: str) -> str:
    """The cell as it was before `neutral`."""
    cell = cell[1:] if _NEUTRAL.match(cell) else cell
    return _INSIDE_NEUTRAL.sub(r"\1", cell)
