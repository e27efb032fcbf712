"""Liquid's filters, bounded: how much each takes and gives, and that each ends soon.

What a filter is given is looked at before it works: numbers, texts and lists of any size may come
out of a payload, and a text may make much of little (`replace`, `join`, a list joined to itself).
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from typing import Any

from django.utils import timezone
from liquid import Environment
from liquid.builtin.filters.misc import date as liquid_date
from liquid.exceptions import FilterArgumentError, LiquidError
from liquid.filter import flatten, with_environment
from liquid.undefined import Undefined, is_undefined

from apps.core import budget, clock

# Characters of a text, and of all that a list holds.
MOST_TEXT = 1024 * 1024
MOST_ITEMS = 10_000
# Bits of a whole number: some 1,200 digits.
MOST_BITS = 4_096
# Characters of what is read as a date, and of its format.
MOST_DATE, MOST_FORMAT = 100, 200

Filter = Callable[..., Any]

# What names a property of each item.
_NAMING = {"map", "sort", "sort_natural"}
_CONTAINERS = (list, tuple, dict, range)

# Of what is only asked for its size, its ends or whether it is there, any size will do.
OF_ANY_SIZE = {"size", "first", "last", "default"}


def bound(name: str, real: Filter) -> Filter:
    """The filter `real`, bounded."""
    makes = _MAKES.get(name)

    @wraps(real)
    def bounded(value: Any, *args: Any, **named: Any) -> Any:
        budget.current().look()
        if name in _NAMING:  # Liquid's would spell it anew for each item
            args = tuple(str(each) if isinstance(each, _CONTAINERS) else each for each in args)
        if name not in OF_ANY_SIZE:
            for each in (value, *args):
                _accept(each)
        if makes is not None:
            _refuse_beyond(makes(value, *args), MOST_TEXT, "characters of text")
        result = real(value, *args, **named)
        _accept(result)
        return result

    return bounded


def refuse_long(kind: str, most: int) -> LiquidError:
    return FilterArgumentError(f"there are more than {most:,} {kind}", token=None)


def _refuse_beyond(size: int, most: int, kind: str) -> None:
    if size > most:
        raise refuse_long(kind, most)


def _accept(value: Any) -> None:
    if isinstance(value, str):
        _refuse_beyond(len(value), 2 * MOST_TEXT, "characters of text")
    elif isinstance(value, int):
        _refuse_beyond(value.bit_length(), MOST_BITS, "bits in a number")
    elif isinstance(value, list | tuple | range):
        _refuse_beyond(_items(value), MOST_ITEMS, "items in a list")


def _items(value: Any) -> int:
    """How many items a list has, with those of the lists in it, which many filters lay flat."""
    count, lists = 0, [value]
    while lists and count <= MOST_ITEMS:
        each = lists.pop()
        count += len(each)
        if count <= MOST_ITEMS and not isinstance(each, range):
            lists += [item for item in each if isinstance(item, list | tuple)]
    return count


def _weight(value: Any) -> int:
    """How long a value is about as a text; no further than it may be."""
    total, values = 0, [value]
    while values and total <= 2 * MOST_TEXT:
        each = values.pop()
        if isinstance(each, str):
            total += len(each)
        elif isinstance(each, dict):
            total += len(each)
            values += each.keys()
            values += each.values()
        elif isinstance(each, list | tuple):
            total += len(each)
            values += each
        else:
            total += 1
    return total


def refuse_heavy(value: Any) -> None:
    """Before it is written: a list may hold one long text many times over."""
    if isinstance(value, list | tuple | dict):
        _refuse_beyond(_weight(value), 2 * MOST_TEXT, "characters of text")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


# --- how much becomes of it -----------------------------------------------------------------------


def _replaced(value: Any, old: Any, new: Any = "") -> int:
    text, old, new = _text(value), _text(old), _text(new)
    return len(text) + text.count(old) * max(len(new) - len(old), 0)


def _joined(value: Any, between: Any = " ") -> int:
    """Objects in a list are written as texts, too."""
    if not isinstance(value, list | tuple):
        return _weight(value)
    return _weight(value) + len(value) * len(_text(between))


def _both(value: Any, other: Any = "") -> int:
    return _weight(value) + _weight(other)


# What makes much of little: how many characters it gives, from the same arguments.
_MAKES: dict[str, Callable[..., int]] = {
    "replace": _replaced,
    "join": _joined,
    "append": _both,
    "prepend": _both,
    "concat": _both,
}

# --- those that are our own -----------------------------------------------------------------------


def split(value: Any, separator: Any) -> list[str]:
    """Liquid's `split`, which would first make the parts and then be told that they are many."""
    text = "" if value is None or isinstance(value, Undefined) else _text(value)
    if separator is None or isinstance(separator, Undefined) or separator == "":
        _refuse_beyond(len(text), MOST_ITEMS, "parts of a text")
        return list(text)
    separator = _text(separator)
    if not text or text == separator:
        return []
    parts = text.split(None if separator == " " else separator, MOST_ITEMS)
    _refuse_beyond(len(parts), MOST_ITEMS, "parts of a text")
    return parts


def uniq(value: Any, key: Any = None) -> list[Any]:
    """Liquid's `uniq` in linear time: it compares each item with each before it."""
    if isinstance(value, dict | str) or not isinstance(value, Iterable):
        value = [value]
    missing = object()

    def of(item: Any) -> Any:
        try:
            return item if key is None else item[key]
        except (KeyError, IndexError):
            return missing
        except TypeError:
            raise FilterArgumentError(f"can't read property '{key}'", token=None) from None

    first: dict[Any, Any] = {}
    for item in flatten(value):
        first.setdefault(_name(of(item)), item)
    return list(first.values())


def _name(value: Any) -> Any:
    """Can be hashed, and is equal for equal values."""
    if isinstance(value, list | tuple | dict):
        return ("", json.dumps(value, sort_keys=True, default=str))
    return value


_HIDDEN = {"script": "</script", "style": "</style"}
_TAG = re.compile(r"[a-zA-Z/!?]")


def strip_html(value: Any) -> str:
    """A text without its tags, comments and what stands in scripts and styles, in one pass:
    Python's parser, which Liquid asks, takes a day for a megabyte of `<!`."""
    text = "" if value is None or isinstance(value, Undefined) else _text(value)
    kept, at = [], 0
    while (start := text.find("<", at)) >= 0:
        if not _TAG.match(text, start + 1):
            kept.append(text[at : start + 1])
            at = start + 1
            continue
        kept.append(text[at:start])
        at = _end_of_tag(text, start)
        if at < 0:  # what is never closed is no tag
            kept.append(text[start:])
            at = len(text)
    kept.append(text[at:])
    return "".join(kept)


def _end_of_tag(text: str, start: int) -> int:
    """Behind the tag that begins at `start`, with what it hides; below 0 when it never ends."""
    if text.startswith("<!--", start):
        end = text.find("-->", start + 4)
        return end + 3 if end >= 0 else -1
    end = text.find(">", start)
    if end < 0:
        return -1
    for name, closing in _HIDDEN.items():
        if text[start + 1 : start + 1 + len(name)].lower() == name:
            hidden_to = re.compile(re.escape(closing), re.IGNORECASE).search(text, end)
            closed = text.find(">", hidden_to.end()) if hidden_to else -1
            return closed + 1 if closed >= 0 else len(text)
    return end + 1


@with_environment
def date(value: Any, format: Any, *, environment: Environment) -> Any:
    """Liquid's `date`, with our clock.

    Liquid remembers what it read by equality, and one moment in two timezones is equal to itself:
    a moment that went through it could come back in another timezone. So moments don't.
    """
    for text, most in ((value, MOST_DATE), (format, MOST_FORMAT)):
        if isinstance(text, str):
            _refuse_beyond(len(text), most, "characters in a date or its format")
    moment = timezone.localtime(clock.now()) if value in ("now", "today") else value
    if not isinstance(moment, datetime) or is_undefined(format):
        return liquid_date(moment, format, environment=environment)
    try:
        return moment.strftime(str(format))
    except ValueError as error:
        raise FilterArgumentError(str(error), token=None) from error


OURS: dict[str, Filter] = {"date": date, "split": split, "uniq": uniq, "strip_html": strip_html}


def add_to(environment: Environment) -> None:
    """Bound all filters of the environment, and put ours in the place of Liquid's."""
    for name, real in [*environment.filters.items(), *OURS.items()]:
        environment.add_filter(name, bound(name, real))
