"""JSON that somebody wrote as text, with attributes anywhere in it: `{"name": "{{ event.name }}"}`.

How a value is written depends on where it stands. Inside a string it is escaped. Outside of one it
is one complete JSON value: a text that isn't one becomes a string, and nothing becomes null. So no
value ends the string or leaves the place that it was put in, and the text goes on behind a value
as it went before it: only what the operator wrote begins and ends strings.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import wraps
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

from django.conf import settings
from liquid import RenderContext
from liquid.builtin.tags.capture_tag import CaptureNode, CaptureTag
from liquid.output import LimitedStringIO
from liquid.undefined import Undefined

from apps.core import budget, filters
from apps.core.dialect import (
    BoundText,
    Context,
    EncodingNode,
    OutputTag,
    TextEnvironment,
    as_text,
    clean,
)

PLACE = "json_text"

Encoder = Callable[[Any], str]

# --- one value ------------------------------------------------------------------------------------


class _Escaped(str):
    """What the filter `escapejs` gave: it may stand in a string of JSON already."""


def _inside(value: Any) -> str:
    """In a string."""
    if isinstance(value, _Escaped):
        return clean(value)
    return _in_one_line(encode_basestring(as_text(value))[1:-1])


def _behind_backslash(value: Any) -> str:
    """In a string, and the backslash before it, which escapes nothing, is meant to be one."""
    return "\\" + _inside(value)


def _outside(value: Any) -> str:
    """Not in a string."""
    if value is None or isinstance(value, Undefined):
        return "null"
    if isinstance(value, _Escaped):
        return f'"{clean(value)}"'
    text = as_text(value)
    if isinstance(value, bool | int):
        return text
    if isinstance(value, float | Decimal):
        return text if isfinite(value) else "null"
    if isinstance(value, Mapping | list | tuple):
        return _in_one_line(_finite(value, text))
    return _in_one_line(text if _is_one_value(text) else encode_basestring(text))


def _finite(value: Any, text: str) -> str:
    """`text`, which `value` reads as, without what JSON has no word for: an answer may hold 1e999,
    which Python writes as Infinity."""
    if "Infinity" not in text and "NaN" not in text:
        return text
    try:
        json.dumps(value, allow_nan=False, default=str)
    except ValueError:
        return as_text(json.loads(text, parse_constant=lambda name: None))
    return text


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


_BEGINNINGS = frozenset('{["-0123456789tfn')
# What numbers come to is of no interest: to read a very long one takes very long.
_reader = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=_refuse)


def _is_one_value(text: str) -> bool:
    begins = text.lstrip(" \t\n\r")[:1]
    if begins not in _BEGINNINGS:
        return False
    # To see through very many of these takes long, and much memory.
    if begins in "{[" and text.count("{") + text.count("[") > filters.MOST_ITEMS:
        raise filters.refuse_long("objects and lists in a text", filters.MOST_ITEMS)
    try:
        _reader.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


_LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}


def _in_one_line(text: str) -> str:
    """JSON as one line, whatever the reader takes for the end of one: there may be a value in each
    line (JSON Lines). As JSON it is the same, and not shorter: what is read is also written."""
    if "\n" in text or "\r" in text:  # only between values: in strings they are escaped
        text = text.replace("\n", " ").replace("\r", " ")
    if not text.isascii():
        for end, escaped in _LINE_ENDS.items():
            text = text.replace(end, escaped)
    return text


# --- where it stands ------------------------------------------------------------------------------

_ESCAPE = re.compile(r"\\.", re.DOTALL)


class _Position:
    """What the operator's own text has come to. (A backslash outside of strings is no JSON; it
    counts as one inside.)"""

    __slots__ = ("_escapes", "_inside")

    def __init__(self) -> None:
        self._inside = False
        self._escapes = False  # what comes next

    def follow(self, text: str) -> None:
        if self._escapes and text:
            text, self._escapes = text[1:], False
        if "\\" in text:
            text = _ESCAPE.sub("", text)
            self._escapes = text.endswith("\\")
        if text.count('"') % 2:
            self._inside = not self._inside

    def encoder(self) -> Encoder:
        """For a value that is written here."""
        escapes, self._escapes = self._escapes, False
        if not self._inside:
            return _outside
        return _behind_backslash if escapes else _inside


def encoders(parts: Iterable[Any]) -> Iterator[Encoder]:
    """For the parts of a text, own texts and others, how each is written if it is a value."""
    position = _Position()
    for part in parts:
        if isinstance(part, str):
            position.follow(part)
            yield _inside  # never asked
        else:
            yield position.encoder()


# --- the language ---------------------------------------------------------------------------------


class _Value:
    """A value in a capture, with the text that it reads as."""

    __slots__ = ("text", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.text = as_text(value)


Piece = str | _Value


class _Captured(str):
    """What a capture collected. Where it is written, its pieces are, each for where it stands.
    Conditions and filters see a text."""

    pieces: list[Piece]

    def __sizeof__(self) -> int:
        return super().__sizeof__() + 8 * len(self.pieces)


class _Capturing(LimitedStringIO):
    """What a capture collects: pieces, as nobody knows yet where they will stand."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit, newline="")
        self.pieces: list[Piece] = []

    def write(self, text: str) -> int:
        return self._add(text)

    def write_value(self, value: Any) -> int:
        if isinstance(value, _Captured):
            return sum(map(self._add, value.pieces))
        return self._add(_Value(value))

    def _add(self, piece: Piece) -> int:
        self.pieces.append(piece)
        return int(super().write(piece if isinstance(piece, str) else piece.text))

    def captured(self) -> _Captured:
        made = _Captured(self._text())
        made.pieces = self.pieces
        return made

    def _text(self) -> str:
        """What a filter gives can't be told from a payload's text any more. So where the operator
        wrote JSON, values are encoded in it; other text is as it reads."""
        own = "".join(piece for piece in self.pieces if isinstance(piece, str))
        if not any(mark in own for mark in '"{}[]'):
            return self.getvalue()
        written = _Writing(settings.RENDER_BYTES)
        written.write_pieces(self.pieces)
        return written.getvalue()


class _Writing(LimitedStringIO):
    """What has been written, and where that has come to."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit, newline="")
        self.position = _Position()

    def write(self, text: str) -> int:
        self.position.follow(text)
        return int(super().write(text))

    def write_value(self, value: Any) -> int:
        if isinstance(value, _Captured):
            budget.current().look()
            return self.write_pieces(value.pieces)
        return int(super().write(self.position.encoder()(value)))

    def write_pieces(self, pieces: list[Piece]) -> int:
        return sum(
            self.write(piece) if isinstance(piece, str) else self.write_value(piece.value)
            for piece in pieces
        )


class _Node(EncodingNode):
    def render_to_output(self, context: RenderContext, buffer: Any) -> int:
        value = self.evaluate(context)
        filters.refuse_heavy(value)
        return int(buffer.write_value(value))


class _OutputTag(OutputTag):
    node_class = _Node


class _CaptureNode(CaptureNode):
    def _assign(self, context: RenderContext, buf: Any) -> None:
        context.assign(self.name, buf.captured())


class _CaptureTag(CaptureTag):
    node_class = _CaptureNode


class _Context(Context):
    def get_buffer(self, buf: Any = None) -> _Capturing:
        return _Capturing(settings.RENDER_BYTES - getattr(buf, "size", 0))


class _Text(BoundText):
    context_class = _Context

    def _get_buffer(self) -> _Writing:
        return _Writing(settings.RENDER_BYTES)


def _escaping(real: Callable[..., str]) -> Callable[..., _Escaped]:
    @wraps(real)  # and what it asks Liquid for
    def escaped(*args: Any, **named: Any) -> _Escaped:
        return _Escaped(real(*args, **named))

    return escaped


class _Environment(TextEnvironment):
    template_class = _Text

    def __init__(self) -> None:
        super().__init__(_outside)
        self.add_tag(_OutputTag)
        self.add_tag(_CaptureTag)
        self.add_filter("escapejs", _escaping(self.filters["escapejs"]))


environment = _Environment()
