"""Reading what callers post: JSON of any shape, forms, empty bodies, and anything else kept raw."""

import base64
import codecs
import json
import math
import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import (
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import QueryDict
from django.http.multipartparser import MultiPartParser
from django.utils.datastructures import MultiValueDict

MAX_NESTING = 200
MAX_DIGITS = 1000

# Python also calls encodings what is none, or what takes minutes to decode; these are enough.
_CHARSET = re.compile(
    r"(ascii|utf-(8|16|32)(-[bl]e)?|iso8859-\d+|cp\d+|mac-roman|koi8-[rtu]|"
    r"gb2312|gbk|gb18030|big5|euc_(jp|kr)|shift_jis)\Z"
)

# A multipart form without any field is its last boundary alone.
_NO_PARTS = re.compile(rb"\s*--[^\r\n]*--\s*")
_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_GZIP = b"\x1f\x8b"


class UnreadableBody(ValueError):
    """The body is not what its content type says; the message tells the caller what is wrong."""


@dataclass(frozen=True)
class Body:
    """`form` says how `text` is to be read again: json, fields, empty or raw."""

    form: str
    text: str


def read(raw: bytes, content_type: str) -> Body:
    """The body as it will be kept. Raises UnreadableBody for broken JSON or broken forms."""
    media_type = content_type.partition(";")[0].strip().lower()
    if not raw.strip():
        return Body("empty", "")
    must_be_json = (
        not media_type or media_type in ("application/json", "text/json") or "+json" in media_type
    )
    if raw.startswith(_GZIP) and (must_be_json or media_type in (_FORM, _MULTIPART)):
        raise UnreadableBody("The body is compressed: post it without Content-Encoding.")
    if media_type == _MULTIPART:
        return _fields_body(_multipart_fields(raw, content_type))
    # Many callers post JSON and say that it is a form, or text.
    if must_be_json or raw.lstrip()[:1] in (b"{", b"["):
        try:
            return _json(raw, content_type)
        except UnreadableBody:
            if must_be_json:
                raise
    if media_type == _FORM:
        return _fields_body(_form_fields(raw, content_type))
    return as_raw(raw)


def as_raw(raw: bytes) -> Body:
    """Any bytes, to be kept as they are."""
    return Body("raw", base64.b64encode(raw).decode())


def _json(raw: bytes, content_type: str) -> Body:
    try:
        text = _decode_json(raw, content_type).lstrip("\ufeff")
        if _is_deeper(_decoder.decode(text), MAX_NESTING):
            raise RecursionError
    except UnicodeDecodeError:
        raise UnreadableBody("The body is not valid JSON: its characters can't be read.") from None
    except RecursionError:
        levels = f"more than {MAX_NESTING} levels deep"
        raise UnreadableBody(f"The body is not usable JSON: it is nested {levels}.") from None
    except ValueError as error:
        raise UnreadableBody(f"The body is not valid JSON: {error}."[:290]) from None
    return Body("json", text)


def _decode_json(raw: bytes, content_type: str) -> str:
    """JSON is UTF-8 (or 16, or 32), whatever its sender says; only if not, the sender is asked."""
    try:
        return raw.decode(json.detect_encoding(raw))
    except UnicodeDecodeError:
        return raw.decode(_charset(content_type))


def _refuse(number: str) -> Any:
    raise ValueError(f"{number[:40]} is not a usable number")


def _fraction(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _whole(text: str) -> int:
    return int(text) if len(text) <= MAX_DIGITS else _refuse(text)


_decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_fraction, parse_int=_whole)


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists are nested in more than so many levels."""
    level = [value]
    for _ in range(levels + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return False
        level = [
            inner for item in level for inner in (item.values() if type(item) is dict else item)
        ]
    return True


def _charset(content_type: str) -> str:
    """The charset that the content type names, where it is a usual one; else UTF-8."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            try:
                charset = codecs.lookup(value.strip().strip("\"'")).name
            except (LookupError, ValueError):
                break
            if _CHARSET.match(charset):
                return charset
    return "utf-8"


def _form_fields(raw: bytes, content_type: str) -> dict[str, Any]:
    try:
        return _values(QueryDict(raw, encoding=_charset(content_type)))
    except (ValueError, SuspiciousOperation) as error:
        raise UnreadableBody(f"The form can't be read: {_sentence(error)}") from None


class _Describe(FileUploadHandler):
    """Keeps what a posted file was called and how large it was, not its content."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        return None

    def file_complete(self, file_size: int) -> "UploadedFile[bytes]":
        return UploadedFile(
            BytesIO(), name=self.file_name, content_type=self.content_type, size=file_size
        )


def _multipart_fields(raw: bytes, content_type: str) -> dict[str, Any]:
    meta = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": len(raw)}
    charset = _charset(content_type)
    try:
        parser = MultiPartParser(meta, BytesIO(raw), [_Describe()], charset)
        posted, files = parser.parse()
    except Exception as error:  # whatever the parser trips over, the caller sent it
        raise UnreadableBody(f"The multipart form can't be read: {_sentence(error)}") from None
    # Without it the last part may be cut off: the parser takes whatever it has.
    boundary: bytes = parser._boundary  # type: ignore[attr-defined]
    if b"--%b--" % boundary not in raw:
        raise UnreadableBody("The multipart form can't be read: its last boundary is missing.")
    described: MultiValueDict[str, Any] = MultiValueDict(
        {name: [_describe(file) for file in listed] for name, listed in files.lists()}
    )
    fields = {**_values(posted), **_values(described)}
    if not fields and not _NO_PARTS.fullmatch(raw):
        raise UnreadableBody("The multipart form can't be read: it has no named parts.")
    return fields


def _describe(file: Any) -> dict[str, Any]:
    return {"filename": file.name, "content_type": file.content_type, "size": file.size}


def _sentence(error: Exception) -> str:
    """What a parser says; it quotes the caller, so only what can be printed is taken over."""
    if isinstance(error, TooManyFieldsSent):
        return f"it has more than {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:,} fields."
    if isinstance(error, TooManyFilesSent):
        return f"it has more than {settings.DATA_UPLOAD_MAX_NUMBER_FILES:,} files."
    text = "".join(character for character in str(error) if character.isprintable())
    return f"{text.strip().rstrip('.')[:200] or type(error).__name__}."


def _values(posted: "MultiValueDict[str, Any]") -> dict[str, Any]:
    """A name that came once has its value, one that came several times the list of them."""
    return {
        name: values[0] if len(values) == 1 else list(values) for name, values in posted.lists()
    }


def query_fields(query: bytes) -> dict[str, Any]:
    """The URL's query as `custom_variables`; one that can't be read is kept whole under `query`."""
    try:
        return _values(QueryDict(query))
    except (ValueError, SuspiciousOperation):
        return {"query": query.decode(errors="replace")}


def _fields_body(fields: dict[str, Any]) -> Body:
    return Body("fields", json.dumps(fields, separators=(",", ":")))


def payload(form: str, text: str, content_type: str) -> dict[str, Any]:
    """The kept body as an object: lists stand under `items`, scalars under `value`, other content
    under `raw` (as text where it is UTF-8, else in base64)."""
    if form == "empty":
        return {}
    if form == "raw":
        raw = base64.b64decode(text)
        try:
            return {"raw": raw.decode(), "content_type": content_type}
        except UnicodeDecodeError:
            return {"raw": text, "content_type": content_type}
    value = json.loads(text)
    if isinstance(value, dict):
        return value
    return {"items": value} if isinstance(value, list) else {"value": value}


def limit() -> int:
    """How many bytes a body may have."""
    return int(settings.MAX_PAYLOAD_BYTES)
