"""Cells that a spreadsheet would take for formulas, made plain text and back.

Text that begins like a formula gets an apostrophe in front. Numbers, telephone numbers among them,
stay: nothing is computed there. `restore` undoes `neutral` exactly, so what was exported is
imported as it was.
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9 ]*([.,][0-9]+)?")
_NEUTRAL = re.compile(r"'+[=+\-@\t\r\n]")


def neutral(cell: str) -> str:
    """The cell as a spreadsheet may read it."""
    return "'" + cell if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def restore(cell: str) -> str:
    """The cell as it was before `neutral`."""
    return cell[1:] if _NEUTRAL.match(cell) else cell
