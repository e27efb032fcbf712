"""Bodies that no decent caller sends, each with what becomes of it.

`status` is 202 (taken; `payload`, where given, is the event that it makes) or 400 (refused with
a sentence, kept as it came).
"""

import gzip
import json
from dataclasses import dataclass
from typing import Any

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xx"
ANY = object()  # a payload that is not looked at


@dataclass(frozen=True)
class Hostile:
    name: str
    raw: bytes
    status: int
    payload: Any = ANY
    content_type: str = JSON


def part(head: str, content: bytes = b"1") -> bytes:
    return f"--xx\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


def field(name: str, content: bytes = b"1") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', content)


END = b"--xx--\r\n"
FILE = 'Content-Disposition: form-data; name="f"; filename='


def deep(levels: int, opening: str = "[", closing: str = "]", inner: str = "") -> bytes:
    return (opening * levels + inner + closing * levels).encode()


def json_of(value: Any) -> bytes:
    return json.dumps(value).encode()


ZOE = {"name": "Zoë"}
ZOE_TEXT = '{"name": "Zoë"}'
DIGITS = "7" * 1000

SHAPES = [
    Hostile("nothing", b"", 202, {}),
    Hostile("blanks", b" \r\n\t\n ", 202, {}),
    Hostile("vertical tab", b"\x0b\x0c", 202, {}),
    Hostile("only a BOM", b"\xef\xbb\xbf", 400),
    Hostile("only a UTF-16 BOM", b"\xff\xfe", 400),
    Hostile("only a UTF-32 BOM", b"\xff\xfe\x00\x00", 400),
    Hostile("NUL bytes", b"\x00" * 1000, 400),
    Hostile("a scalar", b"null", 202, {"value": None}),
    Hostile("a list", b"[]", 202, {"items": []}),
    Hostile("two values", b"{}{}", 400),
    Hostile("lines of JSON", b"{}\n{}\n", 400),
    Hostile("trailing comma", b'{"a": 1,}', 400),
    Hostile("single quotes", b"{'a': 1}", 400),
    Hostile("a comment", b"{} // {}", 400),
    Hostile("an XSSI prefix", b")]}',\n{}", 400),
    Hostile("JSONP", b"callback({})", 400),
    Hostile("cut off", b'{"order": {"id": 7, "na', 400),
    Hostile("a lone quote", b'"', 400),
    Hostile("an odd escape", b'"\\x41"', 400),
    Hostile("half an escape", b'"\\u12"', 400),
    Hostile("a line break in text", b'"a\nb"', 400),
    Hostile("python", b"{'a': None, 'b': True}", 400),
    Hostile("no keys", b"{1: 2}", 400),
    Hostile("keys twice", b'{"a": 1, "a": {"b": 2}, "a": 3}', 202, {"a": 3}),
    Hostile("an empty key", b'{"": {"": ""}}', 202, {"": {"": ""}}),
    Hostile(
        "our own names",
        b'{"event": 1, "contact": {"id": 2}, "custom_variables": 3, "items": 4, "value": 5}',
        202,
        {"event": 1, "contact": {"id": 2}, "custom_variables": 3, "items": 4, "value": 5},
    ),
    Hostile(
        "names of other languages",
        b'{"__proto__": {"x": 1}, "constructor": 2, "__class__": 3, "$where": "1"}',
        202,
        {"__proto__": {"x": 1}, "constructor": 2, "__class__": 3, "$where": "1"},
    ),
    Hostile(
        "words of Liquid", b'{"limit": 1, "in": {"or": 2}}', 202, {"limit": 1, "in": {"or": 2}}
    ),
    Hostile("a long key", json_of({"k" * 100_000: 1}), 202, {"k" * 100_000: 1}),
    Hostile("a long text", json_of("x" * 1_000_000), 202, {"value": "x" * 1_000_000}),
    Hostile("many keys", json_of({f"k{n}": n for n in range(20_000)}), 202),
    Hostile("many items", b"[" + b"1," * 300_000 + b"1]", 202),
    Hostile("blanks between", b"[" + b" " * 1_000_000 + b"]", 202, {"items": []}),
    Hostile("escapes", b'"' + b"\\u0041" * 100_000 + b'"', 202, {"value": "A" * 100_000}),
]
NESTING = [
    Hostile("200 lists", deep(200), 202),
    Hostile("201 lists", deep(201), 400),
    Hostile("200 objects", deep(200, '{"a":', "}", "1"), 202),
    Hostile("100,000 brackets", deep(100_000), 400),
    Hostile("500,000 opening brackets", b"[" * 500_000, 400),
    Hostile("100,000 objects", deep(100_000, '{"a":', "}", "1"), 400),
    Hostile("both in turn", deep(50_000, '[{"a":', "}]", "1"), 400),
    Hostile("deep but in text", json_of("[" * 100_000), 202),
]
NUMBERS = [
    Hostile("NaN", b'{"a": NaN}', 400),
    Hostile("Infinity", b"[Infinity]", 400),
    Hostile("-Infinity", b"-Infinity", 400),
    Hostile("nan", b"nan", 400),
    Hostile("1e400", b'{"a": 1e400}', 400),
    Hostile("-1e400", b'{"a": -1e400}', 400),
    Hostile("1e-400", b'{"a": 1e-400}', 202, {"a": 0.0}),
    Hostile("a vast exponent", b"1e" + b"9" * 100_000, 400),
    Hostile("-0", b'{"a": -0, "b": -0.0}', 202, {"a": 0, "b": -0.0}),
    Hostile("1,000 digits", DIGITS.encode(), 202, {"value": int(DIGITS)}),
    Hostile("10,000 digits", b"7" * 10_000, 400),
    Hostile("a negative of 10,000 digits", b'{"a": -' + b"7" * 10_000 + b"}", 400),
    Hostile("10,000 places", b'{"a": 0.' + b"7" * 10_000 + b"}", 202, {"a": 7 / 9}),
    Hostile("2^63", b'{"a": 9223372036854775808}', 202, {"a": 2**63}),
    Hostile("a leading nought", b"007", 400),
    Hostile("hexadecimal", b"0x7", 400),
    Hostile("a plus sign", b"+7", 400),
    Hostile("other digits", "٧".encode(), 400),
    Hostile("an underscore", b"1_000", 400),
]
CHARACTERS = [
    Hostile("NUL escaped", b'{"a\\u0000b": "c\\u0000"}', 202, {"a\0b": "c\0"}),
    Hostile("NUL itself", b'{"a": "\x00"}', 400),
    Hostile("half a surrogate", b'{"\\ud800": "\\udfff"}', 202, {"\ud800": "\udfff"}),
    Hostile("surrogates the wrong way round", b'"\\udc00\\ud800"', 202, {"value": "\udc00\ud800"}),
    Hostile("a surrogate in UTF-8", b'{"a": "\xed\xa0\x80"}', 400),
    Hostile("not UTF-8", b'{"a": "\xff\xfe\xfd"}', 400),
    Hostile("an overlong slash", b'{"a": "\xc0\xaf"}', 400),
    Hostile("beyond Unicode", b'{"a": "\xf5\x80\x80\x80"}', 400),
    Hostile("not a character", b'{"a": "\xef\xbf\xbf"}', 202, {"a": "\uffff"}),
    Hostile("control characters", b'{"a": "\x7f\xc2\x80\xc2\x85"}', 202, {"a": "\x7f\x80\x85"}),
    Hostile("marks that turn text around", '{"a": "\u202eabc\u2066\u2028"}'.encode(), 202),
    Hostile("UTF-8 with BOM", b"\xef\xbb\xbf" + ZOE_TEXT.encode(), 202, ZOE),
    Hostile("two BOMs", b"\xef\xbb\xbf" * 2 + ZOE_TEXT.encode(), 202, ZOE),
    Hostile("UTF-16", ZOE_TEXT.encode("utf-16"), 202, ZOE),
    Hostile("UTF-16 without BOM", ZOE_TEXT.encode("utf-16-be"), 202, ZOE),
    Hostile("UTF-32", ZOE_TEXT.encode("utf-32"), 202, ZOE),
    Hostile("half of UTF-16", ZOE_TEXT.encode("utf-16")[:-1], 400),
    Hostile("UTF-7", "Zoë+".encode("utf-7"), 400),
    Hostile("UTF-7 by name", b'{"a": "+AGE-"}', 202, {"a": "+AGE-"}, f"{JSON}; charset=utf-7"),
    Hostile("EBCDIC", '{"a": 1}'.encode("cp037"), 202, {"a": 1}, f"{JSON}; charset=cp037"),
    Hostile("EBCDIC unsaid", '{"a": "b"}'.encode("cp037"), 400),
    Hostile("a form in gzip", gzip.compress(b"a=1"), 400, content_type=FORM),
    Hostile("gzip", gzip.compress(b'{"a": 1}'), 400),
    Hostile("a gzip bomb", gzip.compress(bytes(50_000_000)), 400),
    Hostile("Liquid", b'{"a": "{{ event.a }}{% for x in (1..99999999) %}"}', 202),
    Hostile("SQL", b'{"a": "\'; DROP TABLE engine_event; --%s%(now)s"}', 202),
    Hostile("HTML", b'{"<script>": "</pre><script>alert(1)</script>"}', 202),
]
FORMS = [
    Hostile("percent garbage", b"a=%zz&%=%&%u0041=1&b=%f", 202, content_type=FORM),
    Hostile("NUL in a form", b"a%00b=%00", 202, {"a\0b": "\0"}, FORM),
    Hostile("not UTF-8 in a form", b"a=%FF&\xff=1", 202, content_type=FORM),
    Hostile("surrogates in a form", b"a=%ED%A0%80", 202, content_type=FORM),
    Hostile("only separators", b"&" * 100_000, 400, content_type=FORM),
    Hostile("only equals signs", b"=" * 1000, 202, {"": "=" * 999}, FORM),
    Hostile("no names", b"=1&=2", 202, {"": ["1", "2"]}, FORM),
    Hostile("5,001 fields", b"&".join(b"a%d=1" % n for n in range(5_001)), 400, content_type=FORM),
    Hostile("100,000 fields", b"a=1&" * 100_000, 400, content_type=FORM),
    Hostile("one name, many values", b"a=1&" * 4_000, 202, {"a": ["1"] * 4_000}, FORM),
    Hostile("brackets in names", b"a[b][]=1&a[0]=2", 202, {"a[b][]": "1", "a[0]": "2"}, FORM),
    Hostile("semicolons", b"a=1;b=2", 202, {"a": "1;b=2"}, FORM),
    Hostile("a form that says multipart", b"a=1&b=2", 400, content_type=MULTIPART),
    Hostile("a form in UTF-16", b"a=1", 202, content_type=f"{FORM}; charset=utf-16"),
    Hostile("a charset that runs", b"a=1", 202, {"a": "1"}, f"{FORM}; charset=idna"),
    Hostile("a charset that is a path", b"a=1", 202, {"a": "1"}, f"{FORM}; charset=../../etc"),
]
MULTIPARTS = [
    Hostile("no boundary", field("a") + END, 400, content_type="multipart/form-data"),
    Hostile("empty boundary", field("a") + END, 400, content_type="multipart/form-data; boundary="),
    Hostile("another boundary", field("a") + END, 400, content_type=f"{MULTIPART}yy"),
    Hostile("a long boundary", b"--" + b"x" * 300, 400, content_type=MULTIPART + "x" * 300),
    Hostile(
        "a boundary of bytes", b"--\xff", 400, content_type="multipart/form-data; boundary=\xff"
    ),
    Hostile("only the end", END, 202, {}, MULTIPART),
    Hostile("no end", field("a"), 400, content_type=MULTIPART),
    Hostile("cut off in a part", field("a")[:-6], 400, content_type=MULTIPART),
    Hostile(
        "bare line feeds", (field("a") + END).replace(b"\r\n", b"\n"), 400, content_type=MULTIPART
    ),
    Hostile("a preamble", b"hello\r\n" + field("a") + END, 202, {"a": "1"}, MULTIPART),
    Hostile("an epilogue", field("a") + END + b"hello", 202, {"a": "1"}, MULTIPART),
    Hostile("no disposition", part("Content-Type: text/plain") + END, 400, content_type=MULTIPART),
    Hostile("no headers", b"--xx\r\n\r\n1\r\n" + END, 400, content_type=MULTIPART),
    Hostile("no name", part("Content-Disposition: form-data") + END, 400, content_type=MULTIPART),
    Hostile("an empty name", field("") + END, 202, {"": "1"}, MULTIPART),
    Hostile("NUL in a name", field("a\0b") + END, 202, content_type=MULTIPART),
    Hostile("NUL in a value", field("a", b"\0") + END, 202, {"a": "\0"}, MULTIPART),
    Hostile("a value of bytes", field("a", b"\xff\xfe") + END, 202, content_type=MULTIPART),
    Hostile(
        "a name in RFC 2231",
        part("Content-Disposition: form-data; name*=utf-8''%41%ff") + END,
        202,
        content_type=MULTIPART,
    ),
    Hostile(
        "a name in no encoding",
        part("Content-Disposition: form-data; name*=klingon''%41") + END,
        400,
        content_type=MULTIPART,
    ),
    Hostile(
        "base64 that is none",
        part(
            'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', b"%%%"
        )
        + END,
        202,
        content_type=MULTIPART,
    ),
    Hostile("1,000 files", part(f'{FILE}"a"') * 1_000 + END, 400, content_type=MULTIPART),
    Hostile("10,000 parts", field("a") * 10_000 + END, 400, content_type=MULTIPART),
    Hostile("a long header", part("X-A: " + "a" * 100_000) + END, 400, content_type=MULTIPART),
    Hostile("a file without a name", part(f'{FILE}""') + END, 202, {"f": "1"}, MULTIPART),
    Hostile(
        "a file that climbs",
        part(f'{FILE}"../../etc/passwd"') + END,
        202,
        {"f": {"filename": "passwd", "content_type": "", "size": 1}},
        MULTIPART,
    ),
    Hostile("NUL in a file's name", part(f'{FILE}"a\0.txt"') + END, 202, content_type=MULTIPART),
    Hostile(
        "a multipart inside",
        part(
            'Content-Disposition: form-data; name="a"\r\n'
            "Content-Type: multipart/mixed; boundary=yy",
            b"--yy\r\n\r\n1\r\n--yy--",
        )
        + END,
        202,
        {"a": "--yy\r\n\r\n1\r\n--yy--"},
        MULTIPART,
    ),
    Hostile("JSON that says multipart", b'{"a": 1}', 400, content_type=MULTIPART),
]
RAW = [
    Hostile(
        "XML",
        b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>",
        202,
        content_type="text/xml",
    ),
    Hostile("bytes", bytes(range(256)) * 100, 202, content_type="application/octet-stream"),
    Hostile("almost JSON", b"{not json", 202, content_type="text/plain"),
    Hostile("gzip of its own type", gzip.compress(b"{}"), 202, content_type="application/gzip"),
    Hostile("a type of bytes", b"hello", 202, content_type="\xff\xed\xa0\x80"),
    Hostile("a type of NUL", b"hello", 202, content_type="\0/\0"),
    Hostile("a long type", b"hello", 202, content_type="x/" + "y" * 5_000),
    Hostile("a type of blanks", b"hello", 400, content_type="  "),
    Hostile("many parameters", b"{}", 202, {}, JSON + "; a=b" * 1_000),
]
HOSTILE = [*SHAPES, *NESTING, *NUMBERS, *CHARACTERS, *FORMS, *MULTIPARTS, *RAW]
