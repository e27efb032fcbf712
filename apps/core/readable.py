"""Durations, moments and JSON as people read them."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

_UNITS = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)]


def duration(span: timedelta) -> str:
    """`span` in its two largest units: 1 d 4 h, 2 min 5 s, 1.2 s, 12 ms, 0.4 ms."""
    seconds = span.total_seconds()
    if seconds < 0.00995:
        return f"{max(seconds * 1000, 0.1):.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def moment(value: datetime) -> str:
    """`value` in the account's timezone, for sentences that are stored: 2026-03-02 12:00:00 UTC."""
    return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S %Z")


def pretty_json(value: Any, sort_keys: bool = False) -> str:
    """Indented, in its own characters where they can be sent."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str, sort_keys=sort_keys)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, default=str, sort_keys=sort_keys)
    return text
