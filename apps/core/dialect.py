"""The Liquid that texts are written in: python-liquid's, made strict, limited and encoding."""

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from django.conf import settings
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
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.capture_tag import CaptureNode, CaptureTag
from liquid.exceptions import OutputStreamLimitError
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.parser import get_parser
from liquid.token import TOKEN_DOT, TOKEN_OUTPUT, TOKEN_WORD
from liquid.undefined import Undefined
from liquid.utils import ReadOnlyChainMap

from apps.core import budget, filters

TAGS = {"if", "unless", "case", "for", "break", "continue", "assign", "comment", "#"}
_PSEUDO_TAGS = {"content", "output", "illegal"}

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
# Where that depends on the text around it, the place has a module of its own: json_text.
PLACES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "url": lambda text: quote(text, safe=""),
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "html": html.escape,
    "header": lambda text: _CONTROL.sub(" ", text).strip(),
}


def joined(pieces: Iterable[str]) -> str:
    """All of them; no further than a text may go, so that what is beyond is not made either."""
    kept, left = [], settings.RENDER_BYTES
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise OutputStreamLimitError("output stream limit reached", token=None)
        kept.append(piece)
    return "".join(kept)


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
        filters.refuse_heavy(value)
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


class OutputTag(Output):
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

    def assign(self, key: str, val: Any) -> None:
        budget.current().look()
        super().assign(key, val)

    def get_buffer(self, buf: Any = None) -> LimitedStringIO:
        return LimitedStringIO(settings.RENDER_BYTES - getattr(buf, "size", 0), newline="")


class BoundText(BoundTemplate):
    context_class = Context

    def _get_buffer(self) -> LimitedStringIO:
        return LimitedStringIO(settings.RENDER_BYTES, newline="")


class _Range(RangeLiteral):
    """`(1..n)`, whose end may come out of a payload."""

    __slots__ = ()

    def _make_range(self, start: Any, stop: Any) -> range:
        made = super()._make_range(start, stop)
        if made.stop - made.start > filters.MOST_ITEMS:
            raise filters.refuse_long("items in a list", filters.MOST_ITEMS)
        return made


class _Loop(LoopExpression):
    """What a loop goes over; each round looks at the budget."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> tuple[Iterator[Any], int]:
        rounds, length = super().evaluate(context)
        return _watched(rounds), length


def _watched(rounds: Iterable[Any]) -> Iterator[Any]:
    spent = budget.current()
    for each in rounds:
        spent.look()
        yield each


_BOUNDED: dict[type, type] = {RangeLiteral: _Range, LoopExpression: _Loop}


def _bound(nodes: Iterable[Node], static: RenderContext) -> None:
    """Let ours take the place of Liquid's, which its parser makes by name."""
    for node in nodes:
        _bound_expressions(node.expressions())
        _bound(node.children(static), static)


def _bound_expressions(expressions: Iterable[Expression]) -> None:
    for each in expressions:
        each.__class__ = _BOUNDED.get(type(each), type(each))
        _bound_expressions(each.children())


class TextEnvironment(Environment):
    loop_iteration_limit = filters.MOST_ITEMS
    local_namespace_limit = 1_000_000
    template_class = BoundText

    def __init__(self, encode: Callable[[str], str]) -> None:
        super().__init__(tolerance=Mode.STRICT, strict_filters=True)
        self.encode = encode
        self.tags = {n: tag for n, tag in self.tags.items() if n in TAGS | _PSEUDO_TAGS}
        self.add_tag(OutputTag)
        self.add_tag(_Capture)
        filters.add_to(self)

    def _parse(self, source: str) -> list[Node]:
        nodes = get_parser(self).parse(_Tokens(self.tokenizer()(source)))
        _bound(nodes, RenderContext(BoundTemplate(self, [])))
        return nodes


environments = {place: TextEnvironment(encode) for place, encode in PLACES.items()}
