"""Every address that there is, as the URL resolver has them: a new page is among them by itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import get_resolver, reverse
from django.urls.resolvers import RoutePattern, URLPattern

_MODELS = {
    f"admin/{model._meta.app_label}/{model._meta.model_name}/": model
    for model in admin.site._registry
}
_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Page:
    """One pattern of an address."""

    route: str
    # With its namespace; empty for one that can't be asked for by name.
    name: str
    arguments: tuple[str, ...]
    # Whose admin class it is of, if of any.
    model: type[Model] | None

    @property
    def part(self) -> str:
        """What it is of its model: changelist, add, change, delete, history, or one of its own."""
        if self.model is None:
            return ""
        opts = self.model._meta
        return self.name.removeprefix(f"admin:{opts.app_label}_{opts.model_name}_")

    @property
    def id(self) -> str:
        """How the tables of expected.py and world.py name it: by its name, or else its route."""
        numbered = sorted({"number"} & {*self.arguments}) if self.part == "export" else []
        return "/".join([self.name or self.route, *numbered])


def pages() -> list[Page]:
    return list(_below(get_resolver().url_patterns, "", ""))


def _below(patterns: Any, route: str, namespace: str) -> Iterator[Page]:
    for pattern in patterns:
        here = route + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            name = f"{namespace}{pattern.name}" if pattern.name else ""
            yield Page(here, name, _arguments(pattern), _model(here))
        else:
            inner = f"{pattern.namespace}:" if pattern.namespace else ""
            yield from _below(pattern.url_patterns, here, namespace + inner)


def _arguments(pattern: URLPattern) -> tuple[str, ...]:
    if isinstance(pattern.pattern, RoutePattern):
        return tuple(pattern.pattern.converters)
    return tuple(pattern.pattern.regex.groupindex)


def _model(route: str) -> type[Model] | None:
    return next((model for start, model in _MODELS.items() if route.startswith(start)), None)


def address(page: Page, arguments: dict[str, Any]) -> str:
    """The page's address with these arguments."""
    if page.name:
        return reverse(page.name, kwargs=arguments)
    return "/" + _ARGUMENT.sub(lambda found: str(arguments[found[1]]), page.route)
