"""The Liquid that texts are written in: python-liquid's, made strict, limited and encoding."""

import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from django.utils import timezone
from liquid import (
    BoundTemplate,
    Environment,
    Mode,
    Node,
    RenderContext,
    Token,
    TokenStream,
)
from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.filters.misc import date as liquid_date
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.capture_tag import CaptureNode, CaptureTag
from liquid.exceptions import FilterArgumentError
from liquid.filter import with_environment
from liquid.output import LimitedStringIO
from liquid.parser import get_parser
from liquid.token import TOKEN_DOT, TOKEN_OUTPUT, TOKEN_WORD
from liquid.undefined import Undefined, is_undefined
from liquid.utils import ReadOnlyChainMap

from apps.core import clock

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

# --- paths ----------------------------------------------------------------------------------------


def spell(path: Any) -> str:
    if not isinstance(path, Path):
        return str(path)
    spelled = str(path.path[0])
    for segment in path.path[1:]:
        if isinstance(segment, str):
            spelled += step(segment) or f"[{segment!r}]"
        else:
            spelled += f"[{spell(segment)}]"
    return spelled


def step(key: str) -> str | None:
    """How a path goes on to `key`: `.name`, or `["any text"]`, in which nothing can be escaped.
    None for a key that no path can name."""
    if re.fullmatch(r"[^\W\d][\w-]*", key):
        return f".{key}"
    if key != clean(key) or re.search(r"[{}%][{}%]", key):
        return None
    for mark in "\"'":
        if not re.search(rf"{mark}\s*\]", key):
            return f"[{mark}{key}{mark}]"
    return None


# --- the language --------------------------------------------------------------------------------

MISSING = "\0missing"  # where a scope keeps the list of missing names; no text can name it


class _Encoded(str):
    """What a capture collected: its values were encoded when they were written into it."""


class EncodingNode(OutputNode):
    expression: FilteredExpression

    def evaluate(self, context: RenderContext) -> Any:
        """The value. A missing one is noted, unless the operator gave a `default` for it."""
        value = self.expression.left.evaluate(context)
        filters = self.expression.filters or []
        if isinstance(value, Undefined) and not any(f.name == "default" for f in filters):
            context.globals[MISSING].append(spell(self.expression.left))  # type: ignore[attr-defined]
        for each in filters:
            value = each.evaluate(value, context)
        return value

    def render_to_output(self, context: RenderContext, buffer: Any) -> int:
        value = self.evaluate(context)
        written = value if isinstance(value, _Encoded) else context.env.encode(as_text(value))  # type: ignore[attr-defined]
        return int(buffer.write(written))


class _Tokens(TokenStream):
    """Behind a dot stands a name, also where it is a word of the language elsewhere: a payload may
    well have a `limit`, an `offset` or an `in`."""

    def __init__(self, tokens: Iterable[Token], block_depth_carry: int = 0) -> None:
        super().__init__(iter(tokens), block_depth_carry)
        for place, (before, token) in enumerate(pairwise(self.tokens), 1):
            is_word = token.kind == token.value and token.value.isalpha()
            if before.kind == TOKEN_DOT and is_word:
                self.tokens[place] = token._replace(kind=TOKEN_WORD)

    def into_inner(self, *, tag: Token | None = None, eat: bool = True) -> TokenStream:
        return _Tokens(super().into_inner(tag=tag, eat=eat).tokens)


class _Output(Output):
    node_class = EncodingNode

    def parse(self, stream: TokenStream) -> OutputNode:
        token = stream.eat(TOKEN_OUTPUT)
        inner = stream.into_inner(tag=token, eat=False)
        return self.node_class(token, FilteredExpression.parse(self.env, inner))


class _CaptureNode(CaptureNode):
    def _assign(self, context: RenderContext, buf: Any) -> None:
        context.assign(self.name, _Encoded(buf.getvalue()))


class _Capture(CaptureTag):
    node_class = _CaptureNode


class Context(RenderContext):
    """Knows no time of its own (the scope has `now`) and leaves line ends as they are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)

    def get_buffer(self, buf: Any = None) -> LimitedStringIO:
        return LimitedStringIO(OUTPUT_LIMIT - getattr(buf, "size", 0), newline="")


class _Bound(BoundTemplate):
    context_class = Context

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

    def _parse(self, source: str) -> list[Node]:
        return get_parser(self).parse(_Tokens(self.tokenizer()(source)))


environments = {place: _Environment(encode) for place, encode in PLACES.items()}
