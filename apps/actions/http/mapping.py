"""The structure of an action's answers: mapped from the first one, watched from then on.

A structure is a set of (path, JSON type): `.customer.name` is a string, `.items[].sku` too. It is
kept with the action (its uid), outside the frozen revisions: what an API answers does not change
by publishing. Nulls, empty lists and absent keys say nothing about it; what fills them in later is
added to the mapping without asking.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import models

from apps.connectors.models import Performing
from apps.core import clock, rows
from apps.core.fields import JsonText

Structure = frozenset[tuple[str, str]]

CHANGED = "JSON Structure Change Detected"
# Answers whose keys are data (dates, ids …) would grow without end.
MOST_PATHS = 1_000
SAMPLE_ITEMS, SAMPLE_TEXT = 3, 300

_NAME = re.compile(r"[A-Za-z_][\w-]*")
_LAST_STEP = re.compile(r'(\.[\w-]+|\[\]|\["(?:[^"\\]|\\.)*"\])$')
_TYPES = {str: "string", bool: "boolean", int: "number", float: "number"}


class HttpMapping(models.Model):
    """What is known of one action's answers."""

    action_uid = models.UUIDField(unique=True)
    structure = JsonText(default=list)
    # An answer of this structure, shortened, for people who choose attributes.
    sample = JsonText(default=dict)
    mapped_at = models.DateTimeField(default=clock.now)
    # The run whose answer it was; none: it was a test.
    mapped_by_run = models.BigIntegerField(null=True)
    # Since when answers differ, and the structure that they have.
    changed_at = models.DateTimeField(null=True)
    changed_structure = JsonText(default=list)
    changed_sample = JsonText(default=dict)

    def __str__(self) -> str:
        return f"Mapping of {self.action_uid}"

    @property
    def has_changed(self) -> bool:
        return self.changed_at is not None

    def remap(self) -> None:
        """*Remap*: take the structure that the answers have now."""
        if not self.has_changed:
            return
        self.structure, self.sample = self.changed_structure, self.changed_sample
        self.mapped_at, self.mapped_by_run = clock.now(), None
        self.changed_at, self.changed_structure, self.changed_sample = None, [], {}
        self.save()


class Known:
    """The mapping as the runs of one turn share it, ready to be compared with."""

    def __init__(self, row: HttpMapping) -> None:
        self.row = row
        self.structure = _thaw(row.structure)
        self.changed = _thaw(row.changed_structure)

    def read(self, answer: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """What later steps get of an answer, and whether its structure is another one."""
        found = structure_of(answer)
        if found <= self.structure or len(self.structure) >= MOST_PATHS:
            return answer, False
        new = {pair for pair in found - self.structure if not _is_under(pair[0], self._blanks())}
        if not new:
            self._fill_in(found, answer)
            return answer, False
        self._note_change(answer)
        mapped = {path for path, _ in self.structure}
        return dict(_as_mapped(answer, "", mapped, _parents(mapped))), True

    def _blanks(self) -> set[str]:
        """Paths of which nothing is known but that they were null, or a list without items."""
        types: dict[str, set[str]] = {}
        for path, kind in self.structure:
            types.setdefault(path, set()).add(kind)
        return {
            path
            for path, kinds in types.items()
            if kinds == {"null"} or (kinds == {"array"} and f"{path}[]" not in types)
        }

    def _fill_in(self, found: Structure, answer: dict[str, Any]) -> None:
        self.structure |= found
        self.row.structure, self.row.sample = _freeze(self.structure), trimmed(answer)
        rows.update([self.row], ["structure", "sample"])

    def _note_change(self, answer: dict[str, Any]) -> None:
        seen = structure_of(answer, blanks=True)
        if self.row.has_changed and (seen <= self.changed or len(self.changed) >= MOST_PATHS):
            return
        self.changed |= seen
        self.row.changed_at = self.row.changed_at or clock.now()
        self.row.changed_structure = _freeze(self.changed)
        self.row.changed_sample = trimmed(answer)
        rows.update([self.row], ["changed_at", "changed_structure", "changed_sample"])


def read(run: Performing, action_uid: UUID, answer: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """What later steps get of an answer, and whether its structure is another one than mapped; the
    first answer is mapped. One query for all runs that are performed together; writes only news."""
    known = run.once(("http mapping", action_uid), lambda: _known(run, action_uid, answer))
    return known.read(answer)


def _known(run: Performing, action_uid: UUID, answer: dict[str, Any]) -> Known:
    row = of(action_uid)
    if row is None:
        first = HttpMapping(
            action_uid=action_uid,
            structure=_freeze(structure_of(answer, blanks=True)),
            sample=trimmed(answer),
            mapped_by_run=run.cause["cause_id"],
        )
        # Another worker may have been faster.
        row = rows.insert_unless_taken(first) or HttpMapping.objects.get(action_uid=action_uid)
    return Known(row)


def of(action_uid: UUID) -> HttpMapping | None:
    found: HttpMapping | None = rows.one(HttpMapping, "action_uid", action_uid)
    return found


# --- structures ----------------------------------------------------------------------------------


def structure_of(answer: dict[str, Any], blanks: bool = False) -> Structure:
    """The (path, type) pairs of an answer, MOST_PATHS at the most; with `blanks` also its nulls
    and empty lists."""
    found: set[tuple[str, str]] = set()
    for key, value in answer.items():
        _collect(step(key), value, found, blanks)
    return frozenset(found)


def _collect(path: str, value: Any, found: set[tuple[str, str]], blanks: bool) -> None:
    if len(found) >= MOST_PATHS:
        return
    if isinstance(value, dict):
        found.add((path, "object"))
        for key, inner in value.items():
            _collect(path + step(key), inner, found, blanks)
    elif isinstance(value, list):
        if value or blanks:
            found.add((path, "array"))
        for inner in value:
            _collect(path + "[]", inner, found, blanks)
    elif value is not None:
        found.add((path, _TYPES[type(value)]))
    elif blanks:
        found.add((path, "null"))


def step(key: str) -> str:
    """One step of a path, as Liquid spells it."""
    # An answer may have keys of any length; those are not worth the memory.
    return _remembered(key) if len(key) <= 100 else _spelled(key)


def _spelled(key: str) -> str:
    return f".{key}" if _NAME.fullmatch(key) else f"[{json.dumps(key)}]"


_remembered = lru_cache(maxsize=10_000)(_spelled)


def _is_under(path: str, blanks: set[str]) -> bool:
    while path:
        if path in blanks:
            return True
        path = _LAST_STEP.sub("", path)
    return False


def _parents(paths: set[str]) -> set[str]:
    return {_LAST_STEP.sub("", path) for path in paths}


def _as_mapped(value: Any, path: str, mapped: set[str], parents: set[str]) -> Any:
    """The actual value without what is not mapped. A mapped end of a path is taken as it is."""
    if path not in parents:
        return value
    if isinstance(value, Mapping):
        return {
            key: _as_mapped(inner, path + step(key), mapped, parents)
            for key, inner in value.items()
            if path + step(key) in mapped
        }
    if isinstance(value, list) and f"{path}[]" in mapped:
        return [_as_mapped(inner, f"{path}[]", mapped, parents) for inner in value]
    return value


def trimmed(value: Any) -> Any:
    """A sample of an answer: the first items of lists, the beginning of texts."""
    if isinstance(value, dict):
        return {key: trimmed(inner) for key, inner in list(value.items())[:MOST_PATHS]}
    if isinstance(value, list):
        return [trimmed(inner) for inner in value[:SAMPLE_ITEMS]]
    return value[:SAMPLE_TEXT] if isinstance(value, str) else value


def _freeze(structure: Structure) -> list[list[str]]:
    return [list(pair) for pair in sorted(structure)]


def _thaw(pairs: list[list[str]]) -> Structure:
    return frozenset((path, kind) for path, kind in pairs)
