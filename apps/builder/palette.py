"""The kinds that *Add action* offers."""

import inspect
import re
from dataclasses import dataclass

from apps.builder.links import kind_url
from apps.connectors import registry
from apps.connectors.models import Action


@dataclass(frozen=True)
class Tile:
    title: str
    icon: str
    help: str
    add_url: str
    # What the search looks through.
    words: str


def help_text(kind: type[Action]) -> str:
    """The kind's docstring, as paragraphs of running text."""
    text = inspect.cleandoc(kind.__doc__ or "")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def first_sentence(text: str) -> str:
    found = re.match(r".+?[.!?](?=\s|$)", text)
    return found.group() if found else text


def palette() -> list[tuple[str, list[Tile]]]:
    """The tiles by category, in the palette's order."""
    return [
        (category, [_tile(kind, category) for kind in kinds])
        for category, kinds in registry.by_category().items()
    ]


def _tile(kind: type[Action], category: str) -> Tile:
    text = first_sentence(help_text(kind))
    words = f"{kind.title} {category} {text}".lower()
    return Tile(kind.title, kind.icon, text, kind_url(kind, "add"), words)
