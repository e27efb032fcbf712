"""A *Row* body: any text, whose attributes are encoded for what the headers say that it is."""

import re
from collections.abc import Iterable

from apps.core import json_text

# One JSON value, or one in each line.
_JSON = re.compile(
    r"""(application|text)/json
      | [^/\s;,]+/[^/\s;,]+\+json
      | application/(x-)?(ndjson|jsonl|jsonlines|json-lines)
      | application/(json-seq|x-json)
    """,
    re.IGNORECASE | re.VERBOSE,
)


def place(headers: Iterable[tuple[str, str]]) -> str:
    """The place that the body is rendered for; `headers` with their attributes filled in."""
    types = (value for name, value in headers if name.lower() == "content-type")
    return json_text.PLACE if any(map(_says_json, types)) else "plain"


def _says_json(content_type: str) -> bool:
    media_type = re.split("[;,]", content_type, maxsplit=1)[0].strip()
    return _JSON.fullmatch(media_type) is not None
