"""Attributes in text: Liquid, strict and limited (product.md 0.12, 0.25).

Strict: a syntax error or an unknown filter is refused when the text is saved. Limited: few tags,
none that loads other templates; bounded loops and output. A missing value renders empty and is
named in `missing`. Values are encoded for the place that the text goes to.
"""

import html
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from django.utils import timezone
from liquid import BoundTemplate, Environment, Mode, RenderContext
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.filters.misc import date as liquid_date
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.capture_tag import CaptureNode, CaptureTag
from liquid.exceptions import (
    FilterArgumentError,
    LiquidError,
    OutputStreamLimitError,
    UnknownFilterError,
)
from liquid.filter import with_environment
from liquid.output import LimitedStringIO
from liquid.undefined import Undefined, is_undefined
from liquid.utils import ReadOnlyChainMap

from apps.core import clock

Scope = Mapping[str, Any]

TAGS = {"if", "unless", "case", "for", "break", "continue", "assign", "comment", "#"}
_PSEUDO_TAGS = {"content", "output", "illegal"}
OUTPUT_LIMIT = 1_000_000  # bytes

# Characters that no channel, header or database text column takes.
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def clean(text: str) -> str:
    """`text` without NUL and lone surrogates."""
    return _UNSENDABLE.sub("", text)


def as_text(value: Any) -> str:
    """A JSON value as it reads inside text: objects and lists as compact JSON, null as nothing."""
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        plain = dict(value) if isinstance(value, Mapping) else list(value)
        return clean(json.dumps(plain, ensure_ascii=False, separators=(",", ":"), default=str))
    return str(value)


# How a value is written into each place. The text around it is the operator's own, left as it is.
PLACES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "url": lambda text: quote(text, safe=""),
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "html": html.escape,
    "header": lambda text: _CONTROL.sub(" ", text).strip(),
}

# --- the language --------------------------------------------------------------------------------

_MISSING = "\0missing"  # where a scope keeps the list of missing names; no text can name it


class _Encoded(str):
    """What a capture collected: its values were encoded when they were written into it."""


class _EncodingNode(OutputNode):
    expression: FilteredExpression

    def evaluate(self, context: RenderContext) -> Any:
        """The value. A missing one is noted, unless the operator gave a `default` for it."""
        value = self.expression.left.evaluate(context)
        filters = self.expression.filters or []
        if isinstance(value, Undefined) and not any(f.name == "default" for f in filters):
            context.globals[_MISSING].append(_spell(self.expression.left))  # type: ignore[attr-defined]
        for each in filters:
            value = each.evaluate(value, context)
        return value

    def render_to_output(self, context: RenderContext, buffer: Any) -> int:
        value = self.evaluate(context)
        written = value if isinstance(value, _Encoded) else context.env.encode(as_text(value))  # type: ignore[attr-defined]
        return int(buffer.write(written))


class _Output(Output):
    node_class = _EncodingNode


class _CaptureNode(CaptureNode):
    def _assign(self, context: RenderContext, buf: Any) -> None:
        context.assign(self.name, _Encoded(buf.getvalue()))


class _Capture(CaptureTag):
    node_class = _CaptureNode


class _Context(RenderContext):
    """Knows no time of its own (the scope has `now`) and leaves line ends as they are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)

    def get_buffer(self, buf: Any = None) -> LimitedStringIO:
        return LimitedStringIO(OUTPUT_LIMIT - getattr(buf, "size", 0), newline="")


class _Bound(BoundTemplate):
    context_class = _Context

    def _get_buffer(self) -> LimitedStringIO:
        return LimitedStringIO(OUTPUT_LIMIT, newline="")


@with_environment
def _date(value: Any, format: Any, *, environment: Environment) -> Any:
    """Liquid's `date`, with our clock.

    Liquid remembers what it read by equality, and one moment in two timezones is equal to itself:
    a moment that went through it could come back in another timezone. So moments don't.
    """
    moment = timezone.localtime(clock.now()) if value in ("now", "today") else value
    if not isinstance(moment, datetime) or is_undefined(format):
        return liquid_date(moment, format, environment=environment)
    try:
        return moment.strftime(str(format))
    except ValueError as error:
        raise FilterArgumentError(str(error), token=None) from error


class _Environment(Environment):
    loop_iteration_limit = 10_000
    local_namespace_limit = 1_000_000
    output_stream_limit = OUTPUT_LIMIT
    template_class = _Bound

    def __init__(self, encode: Callable[[str], str]) -> None:
        super().__init__(tolerance=Mode.STRICT, strict_filters=True)
        self.encode = encode
        self.tags = {n: tag for n, tag in self.tags.items() if n in TAGS | _PSEUDO_TAGS}
        self.add_tag(_Output)
        self.add_tag(_Capture)
        self.add_filter("date", _date)


_environments = {place: _Environment(encode) for place, encode in PLACES.items()}

# --- one text ------------------------------------------------------------------------------------


class _Plain:
    """A plain path in a text: its segments, and how it is spelled when it is missing."""

    __slots__ = ("segments", "spelled")

    def __init__(self, path: Path) -> None:
        self.segments = tuple(path.path)
        self.spelled = _spell(path)


class Template:
    """One text, parsed once.

    `parts` is set when the text holds nothing but plain paths: those are looked up directly,
    ten times faster than through a Liquid context.
    """

    def __init__(self, text: str, place: str) -> None:
        self.encode = PLACES[place]
        self.bound = _environments[place].from_string(text)
        self.parts: list[str | _Plain] | None = []
        for node in self.bound.nodes:
            part = node.text if isinstance(node, ContentNode) else _plain_path(node)
            if part is None:
                self.parts = None
                _refuse_unknown_filters(self.bound)
                break
            self.parts.append(part)

    def render(self, scope: Scope, missing: list[str]) -> str:
        if self.parts is None:
            return str(self.bound.render({**scope, _MISSING: missing}))
        text = "".join(
            part if isinstance(part, str) else self.encode(as_text(_lookup(scope, part, missing)))
            for part in self.parts
        )
        if len(text) > OUTPUT_LIMIT // 4 and len(text.encode()) > OUTPUT_LIMIT:
            raise OutputStreamLimitError("output stream limit reached", token=None)
        return text

    def value(self, scope: Scope, missing: list[str]) -> Any:
        """The value itself where the text is exactly one attribute, else the rendered text."""
        if len(self.bound.nodes) != 1 or not isinstance(self.bound.nodes[0], _EncodingNode):
            return self.render(scope, missing)
        if self.parts is not None and isinstance(self.parts[0], _Plain):
            return _lookup(scope, self.parts[0], missing)
        context = _Context(self.bound, globals={**scope, _MISSING: missing})
        return _as_json(self.bound.nodes[0].evaluate(context))


def _plain_path(node: Any) -> _Plain | None:
    if not isinstance(node, _EncodingNode):
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


def _spell(path: Any) -> str:
    if not isinstance(path, Path):
        return str(path)
    spelled = str(path.path[0])
    for segment in path.path[1:]:
        if isinstance(segment, str) and re.fullmatch(r"[^\W\d][\w-]*", segment):
            spelled += f".{segment}"
        elif isinstance(segment, str):
            spelled += f"[{json.dumps(segment, ensure_ascii=False)}]"
        else:
            spelled += f"[{_spell(segment)}]"
    return spelled


def _as_json(value: Any) -> Any:
    """What a filter made, as a JSON value."""
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
    return str(_filled_in(Template.render, text, place, scope, missing))


def evaluate(text: str, scope: Scope, missing: list[str] | None = None) -> Any:
    """The value of a path (`event.total`) or of text that is exactly one attribute, typed;
    the rendered string for any other text with attributes. Raises LiquidError as render does."""
    text = text if has_attributes(text) else "{{ " + text + " }}"
    return _filled_in(Template.value, clean(text), "plain", scope, missing)


def _filled_in(how: Any, text: str, place: str, scope: Scope, missing: list[str] | None) -> Any:
    template = _parse(text, place)
    try:
        return how(template, scope, [] if missing is None else missing)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        # Filters let some of Python's own errors through.
        raise LiquidError(f"{type(error).__name__}: {error}", token=None) from error


def render_json(value: Any, scope: Scope, missing: list[str] | None = None) -> Any:
    """A JSON value rendered leaf by leaf; a leaf that is exactly one attribute keeps its type."""
    if isinstance(value, str):
        return evaluate(value, scope, missing) if has_attributes(value) else value
    if isinstance(value, list):
        return [render_json(item, scope, missing) for item in value]
    if isinstance(value, dict):
        return {
            render(k, scope, "plain", missing): render_json(v, scope, missing)
            for k, v in value.items()
        }
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
