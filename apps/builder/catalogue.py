"""The registry of kinds as data: for other software, for the docs, and for people at a terminal.

What a kind declares is read from it; the errors that it can have are read from the table in its
page of docs, which is the one place where they are written down.
"""

import re
from pathlib import Path
from typing import Any

from django.db import models
from django.utils.choices import flatten_choices
from django.utils.text import capfirst

from apps.builder.palette import first_sentence, help_text
from apps.connectors import registry
from apps.connectors.frozen import own_fields, row_fields, row_model
from apps.connectors.models import Action
from apps.core.fields import Column, RowsField, TemplateField

FORMAT = 1
PAGES = Path(__file__).parents[2] / "docs" / "actions"
COMMON_ERRORS = "Errors that any action can have"
# What the docs have between these lines is made by `as_markdown`.
MARKS = ("<!-- kinds: made by manage.py kinds -->", "<!-- end of kinds -->")

_TYPES: list[tuple[Any, str]] = [
    (models.ForeignKey, "reference"),
    (RowsField, "rows"),
    (models.JSONField, "json"),
    (models.BooleanField, "boolean"),
    (models.IntegerField, "integer"),
    (models.DecimalField, "number"),
    (models.DateTimeField, "datetime"),
    (models.DateField, "date"),
    (models.UUIDField, "uuid"),
    (models.CharField, "text"),
    (models.TextField, "text"),
]

Described = dict[str, Any]


class NoDocs(LookupError):
    """A page of the docs that the errors are read from is missing; the message names it."""


def catalogue() -> Described:
    """All kinds in the palette's order:

    {"format": 1, "errors": [error …], "kinds": [{"slug", "label", "category", "icon", "help",
     "needs_contact", "on_error": bool, "gives": {"family", "values"} or null,
     "fields": [field …], "row_sets": [{"name", "label", "fields"}], "errors": [error …]}]}

    A field is {"name", "label", "type", "required", "templated", "help", "default", "choices":
    [{"value", "label"}], "shows_when": {"field", "values"} or null}; a reference also has "to",
    rows have "columns". An error is {"timeline", "meaning"}, a sentence as timelines have it. What
    the top level lists as errors can happen to any kind.
    """
    return {
        "format": FORMAT,
        "errors": errors("README", COMMON_ERRORS),
        "kinds": [described(kind) for kind in registry.kinds().values()],
    }


def described(kind: type[Action]) -> Described:
    named = {field.name: field for field in own_fields(kind)}
    shown = kind.editor or [name for name, field in named.items() if field.editable]
    return {
        "slug": kind.slug,
        "label": kind.title,
        "category": kind.category,
        "icon": kind.icon,
        "help": help_text(kind),
        "needs_contact": kind.needs_contact,
        "on_error": kind.has_on_error,
        "gives": {"family": kind.gives, "values": list(kind.given)} if kind.gives else None,
        "fields": [_field(named[name], kind.shows_when) for name in shown],
        "row_sets": [_row_set(kind, name) for name in kind.row_sets],
        "errors": errors(kind.slug),
    }


def _row_set(kind: type[Action], name: str) -> Described:
    row: Any = row_model(kind, name)
    shows_when = getattr(row, "shows_when", {})
    fields = [_field(field, shows_when) for field in row_fields(row) if field.editable]
    return {"name": name, "label": capfirst(row._meta.verbose_name_plural), "fields": fields}


def _field(field: Any, shows_when: dict[str, tuple[str, list[str]]]) -> Described:
    is_yes_or_no = isinstance(field, models.BooleanField)
    made: Described = {
        "name": field.name,
        "label": capfirst(field.verbose_name),
        "type": _type(field),
        "required": not field.blank and not is_yes_or_no,
        "templated": isinstance(field, TemplateField),
        "help": str(field.help_text),
        "default": field.get_default() if field.has_default() else None,
        "choices": _choices(field.choices or []),
        "shows_when": _condition(shows_when.get(field.name)),
    }
    if field.is_relation:
        made["to"] = field.related_model._meta.label_lower
    if isinstance(field, RowsField):
        made["columns"] = [_column(column) for column in field.columns]
    return made


def _type(field: Any) -> str:
    if field.choices:
        return "choice"
    found = (name for model, name in _TYPES if isinstance(field, model))
    return next(found, field.get_internal_type().lower())


def _column(column: Column) -> Described:
    return {
        "name": column.name,
        "label": column.label,
        "type": "choice" if column.choices else "path" if column.path else "text",
        "required": column.required,
        "templated": column.attributes,
        "choices": _choices(column.choices),
        "shows_when": _condition(column.shows_when),
    }


def _choices(choices: Any) -> list[Described]:
    return [{"value": value, "label": str(label)} for value, label in flatten_choices(choices)]


def _condition(shows_when: tuple[str, list[str]] | None) -> Described | None:
    return {"field": shows_when[0], "values": list(shows_when[1])} if shows_when else None


# --- errors ---------------------------------------------------------------------------------------


def errors(page: str, heading: str = "Errors") -> list[dict[str, str]]:
    """The table under a heading of a page of the docs. Raises NoDocs."""
    path = PAGES / f"{page}.md"
    if not path.exists():
        raise NoDocs(f"The page {path} is missing.")
    _, _, below = path.read_text().partition(f"\n## {heading}\n")
    section = below.partition("\n## ")[0]
    rows = [_cells(line) for line in section.splitlines() if line.startswith("|")]
    return [{"timeline": cells[0], "meaning": cells[1]} for cells in rows[2:]]


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [cell.strip().replace("\\|", "|") for cell in cells]


# --- for people -----------------------------------------------------------------------------------


def as_markdown() -> str:
    """The table of docs/actions/README.md, with the lines that mark it."""
    rows = [
        f"| [{kind.title}]({kind.slug}.md) | {kind.category} | `{kind.slug}` |"
        f" {first_sentence(help_text(kind))} |"
        for kind in registry.kinds().values()
    ]
    head = ["| Kind | Category | Slug | What it does |", "|---|---|---|---|"]
    return "\n".join([MARKS[0], "", *head, *rows, "", MARKS[1]])


def put_into(text: str) -> str:
    """The text with its table of kinds made anew; ValueError when it has no place for one."""
    before, begun, rest = text.partition(MARKS[0])
    _, ended, after = rest.partition(MARKS[1])
    if not (begun and ended):
        raise ValueError(f"There is no place for the table: a line {MARKS[0]} and {MARKS[1]}.")
    return before + as_markdown() + after


def as_table() -> str:
    """One line for each kind, in columns."""
    head = ["SLUG", "LABEL", "CATEGORY", "CONTACT", "GIVES"]
    rows = [
        [kind.slug, kind.title, kind.category, "yes" if kind.needs_contact else "", kind.gives]
        for kind in registry.kinds().values()
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = (zip(row, widths, strict=True) for row in [head, *rows])
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in line).rstrip() for line in lines
    )
