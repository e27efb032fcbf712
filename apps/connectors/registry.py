"""The kinds of actions, by slug."""

from typing import TypeVar

from apps.connectors.models import Action

# The palette's order (product.md 0.1).
CATEGORIES = [
    "Flow",
    "Notification",
    "Teambox",
    "Counter",
    "Delay",
    "WhatsApp Group",
    "Attributes",
    "Data Storage",
    "CRM",
    "Automation",
    "3rd Party App",
]

Kind = TypeVar("Kind", bound=type[Action])
_kinds: dict[str, type[Action]] = {}


def register(kind: Kind) -> Kind:
    """Class decorator: make the kind selectable. Refuses a doubled slug or an unknown category."""
    if kind.slug in _kinds:
        raise ValueError(f"Two kinds are called {kind.slug!r}")
    if kind.category not in CATEGORIES:
        raise ValueError(f"{kind.slug}: unknown category {kind.category!r}")
    _kinds[kind.slug] = kind
    return kind


def kinds() -> dict[str, type[Action]]:
    """All kinds in the palette's order."""
    order = sorted(_kinds.values(), key=lambda kind: (CATEGORIES.index(kind.category), kind.title))
    return {kind.slug: kind for kind in order}


class UnknownKind(LookupError):
    """This installation has no kind of that slug; the text is the slug."""


def kind_of(slug: str) -> type[Action]:
    """The class for a slug. Raises UnknownKind."""
    if slug not in _kinds:
        raise UnknownKind(slug)
    return _kinds[slug]


def by_category() -> dict[str, list[type[Action]]]:
    groups: dict[str, list[type[Action]]] = {}
    for kind in kinds().values():
        groups.setdefault(kind.category, []).append(kind)
    return groups
