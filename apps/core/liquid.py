"""Attributes in text: Liquid, strict and limited (product.md 0.12, 0.25).

Strict: a syntax error or an unknown filter is refused when the text is saved. Limited: few tags,
none that loads other templates; bounded loops and output. A missing value renders empty and is
named in `missing`. Values are encoded for the place that the text goes to.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.conf import settings
from liquid import BoundTemplate
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions.path import Path
from liquid.exceptions import LiquidError, OutputStreamLimitError, UnknownFilterError
from liquid.undefined import Undefined

from apps.core import dialect, json_text
from apps.core.budget import one_budget, wrote
from apps.core.dialect import MISSING, Context, EncodingNode, as_text, clean, joined, spell, step

__all__ = ["PLACES", "as_text", "clean", "environments", "step"]

Scope = Mapping[str, Any]

environments = {**dialect.environments, json_text.PLACE: json_text.environment}
PLACES = tuple(environments)

# --- one text ------------------------------------------------------------------------------------


class _Plain:
    """A plain path in a text: its segments, and how it is spelled when it is missing."""

    __slots__ = ("segments", "spelled")

    def __init__(self, path: Path) -> None:
        self.segments = tuple(path.path)
        self.spelled = spell(path)


class Template:
    """One text, parsed once.

    `parts` is set when the text holds nothing but plain paths: those are looked up directly,
    ten times faster than through a Liquid context.
    """

    def __init__(self, text: str, place: str) -> None:
        self.encode = environments[place].encode
        self.bound = environments[place].from_string(text)
        self.parts: list[str | _Plain] | None = []
        for node in self.bound.nodes:
            part = node.text if isinstance(node, ContentNode) else _plain_path(node)
            if part is None:
                self.parts = None
                _refuse_unknown_filters(self.bound)
                break
            self.parts.append(part)
        # Where encoding depends on the text before it: each part with its own encoder.
        self.in_json: list[tuple[str | _Plain, json_text.Encoder]] | None = None
        if place == json_text.PLACE and self.parts is not None:
            self.in_json = list(zip(self.parts, json_text.encoders(self.parts), strict=True))

    def render(self, scope: Scope, missing: list[str]) -> str:
        if self.parts is None:
            return str(self.bound.render({**scope, MISSING: missing}))
        if self.in_json is None:
            text = joined(
                part
                if isinstance(part, str)
                else self.encode(as_text(_lookup(scope, part, missing)))
                for part in self.parts
            )
        else:
            text = joined(
                part if isinstance(part, str) else encode(_lookup(scope, part, missing))
                for part, encode in self.in_json
            )
        limit = settings.RENDER_BYTES
        if len(text) > limit // 4 and len(text.encode()) > limit:
            raise OutputStreamLimitError("output stream limit reached", token=None)
        return text

    def value(self, scope: Scope, missing: list[str]) -> Any:
        """The value itself where the text is exactly one attribute, else the rendered text."""
        if len(self.bound.nodes) != 1 or not isinstance(self.bound.nodes[0], EncodingNode):
            return self.render(scope, missing)
        if self.parts is not None and isinstance(self.parts[0], _Plain):
            return _as_json(_lookup(scope, self.parts[0], missing))
        context = Context(self.bound, globals={**scope, MISSING: missing})
        return _as_json(self.bound.nodes[0].evaluate(context))


def _plain_path(node: Any) -> _Plain | None:
    if not isinstance(node, EncodingNode):
        return None
    path = node.expression.left
    if node.expression.filters or not isinstance(path, Path):
        return None
    if any(isinstance(s, Path) or s in ("size", "first", "last") for s in path.path):
        return None
    return _Plain(path)


def _refuse_unknown_filters(bound: BoundTemplate) -> None:
    for name in bound.analyze(include_partials=False).filters:
        if name not in bound.env.filters:
            raise UnknownFilterError(f"unknown filter '{name}'", token=None)


def _lookup(scope: Any, path: _Plain, missing: list[str]) -> Any:
    value = scope
    for segment in path.segments:
        try:
            if isinstance(value, Mapping) or (isinstance(value, list) and type(segment) is int):
                value = value[segment]  # type: ignore[index]
            else:
                raise KeyError(segment)
        except (KeyError, IndexError):
            missing.append(path.spelled)
            return None
    return value


def _as_json(value: Any) -> Any:
    """What a path or a filter gave, as a JSON value."""
    if value is None or isinstance(value, Undefined):
        return None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bool | int | float | list | dict):
        return value
    return as_text(value)


@lru_cache(maxsize=4096)
def _parse(text: str, place: str) -> Template:
    try:
        return Template(text, place)
    except RecursionError:
        raise LiquidError("it is nested too deeply", token=None) from None


# --- what others use -----------------------------------------------------------------------------


def has_attributes(text: str) -> bool:
    return "{{" in text or "{%" in text


def render(text: str, scope: Scope, place: str = "plain", missing: list[str] | None = None) -> str:
    """`text` with its attributes filled in, encoded for `place` (a key of PLACES).

    Raises LiquidError when a limit is hit or a filter can't take its value.
    """
    text = clean(text)
    if not has_attributes(text):
        return text
    filled_in = str(_filled_in(Template.render, text, place, scope, missing))
    wrote(filled_in)
    return filled_in


def evaluate(text: str, scope: Scope, missing: list[str] | None = None) -> Any:
    """The value of a path (`event.total`) or of text that is exactly one attribute, typed;
    the rendered string for any other text with attributes. Raises LiquidError as render does."""
    text = text if has_attributes(text) else "{{ " + text + " }}"
    return _filled_in(Template.value, clean(text), "plain", scope, missing)


def _filled_in(how: Any, text: str, place: str, scope: Scope, missing: list[str] | None) -> Any:
    template = _parse(text, place)
    missing = [] if missing is None else missing
    try:
        if template.parts is not None:  # looks up what is there, and no more
            return how(template, scope, missing)
        with one_budget() as budget, budget.spend():
            return how(template, scope, missing)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        # Filters let some of Python's own errors through.
        raise LiquidError(f"{type(error).__name__}: {error}", token=None) from error


def render_json(value: Any, scope: Scope, missing: list[str] | None = None) -> Any:
    """A JSON value rendered leaf by leaf; a leaf that is exactly one attribute keeps its type.
    All leaves share one budget."""
    with one_budget():
        return _json_rendered(value, scope, missing)


def _json_rendered(value: Any, scope: Scope, missing: list[str] | None) -> Any:
    if isinstance(value, str):
        if not has_attributes(value):
            return value
        found = evaluate(value, scope, missing)
        wrote(found)
        return found
    if isinstance(value, list):
        return [_json_rendered(item, scope, missing) for item in value]
    if isinstance(value, dict):
        made = {
            render(k, scope, "plain", missing): _json_rendered(v, scope, missing)
            for k, v in value.items()
        }
        if len(made) < len(value):  # or a payload could put its own in the place of another one
            raise LiquidError("two fields of an object have the same name", token=None)
        return made
    return value


def reason(error: LiquidError) -> str:
    """What is wrong, in a few words without the excerpt that Liquid draws."""
    return str(error.message or type(error).__name__).splitlines()[0].strip()


def syntax_error(text: str) -> str:
    """What is wrong with the attributes in `text`, in one sentence; empty when all is well."""
    if not has_attributes(text):
        return ""
    try:
        _parse(clean(text), "plain")
    except LiquidError as error:
        return f"An attribute can't be read: {reason(error)}."
    return ""


def path_error(path: str) -> str:
    """What is wrong with a Liquid path such as `event.items[0]`; empty when all is well."""
    if not path.strip():
        return "Choose an attribute."
    return syntax_error(path if has_attributes(path) else "{{ " + path + " }}")


def roots(text: str) -> set[str]:
    """The families of attributes that `text` uses: event, contact, http …"""
    if not has_attributes(text) or syntax_error(text):
        return set()
    analysis = _parse(clean(text), "plain").bound.analyze(include_partials=False)
    return {str(name) for name in analysis.globals}
