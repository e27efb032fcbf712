"""Reading bodies: whatever is posted is either kept or refused with a sentence."""

import gzip
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.core.fields import JsonText
from apps.engine import bodies
from apps.engine.bodies import Body, UnreadableBody

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xx"


def event(raw, content_type=JSON):
    body = bodies.read(raw, content_type)
    return bodies.payload(body.form, body.text, content_type)


def refusal(raw, content_type=JSON):
    with pytest.raises(UnreadableBody) as refused:
        bodies.read(raw, content_type)
    return str(refused.value)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"[1, 2]", {"items": [1, 2]}),
        (b"[]", {"items": []}),
        (b"7", {"value": 7}),
        (b'"text"', {"value": "text"}),
        (b"null", {"value": None}),
        (b"false", {"value": False}),
        (b"", {}),
        (b" \r\n\t ", {}),
        (b' {"a": 1, "a": 2} ', {"a": 2}),
        ('{"name": "Zoë"}'.encode(), {"name": "Zoë"}),
        (b"\xef\xbb\xbf" + b'{"bom": true}', {"bom": True}),
        ('{"name": "Zoë"}'.encode("utf-16"), {"name": "Zoë"}),
        ('{"name": "Zoë"}'.encode("utf-16-be"), {"name": "Zoë"}),
        ('{"name": "Zoë"}'.encode("utf-32"), {"name": "Zoë"}),
        (b'{"nul": "\\u0000", "half": "\\ud800"}', {"nul": "\0", "half": "\ud800"}),
        (b'{"big": 123456789012345678901234567890}', {"big": 123456789012345678901234567890}),
        (b'{"": {"": 1}}', {"": {"": 1}}),
        (b"[" * 200 + b"]" * 200, {"items": json.loads("[" * 200 + "]" * 200)}),
        (b'{"not deep": "' + b"[{" * 500 + b'"}', {"not deep": "[{" * 500}),
    ],
)
def test_json_of_any_shape_is_an_event(raw, expected):
    assert event(raw) == expected


@pytest.mark.parametrize("content_type", ["", "text/json", "application/vnd.api+json", FORM])
def test_json_is_read_under_many_names(content_type):
    assert event(b'{"a": 1}', content_type) == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"{", "The body is not valid JSON: Expecting property name"),
        (b'{"a": 1,}', "The body is not valid JSON: "),
        (b"hello", "The body is not valid JSON: Expecting value"),
        (b'{"a": NaN}', "The body is not valid JSON: NaN is not a usable number."),
        (b"[-Infinity]", "The body is not valid JSON: -Infinity is not a usable number."),
        (b"[1e999]", "The body is not valid JSON: 1e999 is not a usable number."),
        (b"9" * 1001, "The body is not valid JSON: " + "9" * 40 + " is not a usable number."),
        (b'{"a": "\xff"}', "The body is not valid JSON: its characters can't be read."),
        (b'{"nul": "\x00"}', "The body is not valid JSON: Invalid control character"),
        (b"[" * 201 + b"]" * 201, "nested more than 200 levels deep."),
        (b"[" * 100_000, "nested more than 200 levels deep."),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested more than 200 levels deep."),
    ],
)
def test_broken_json_is_refused_with_a_sentence(raw, sentence):
    assert sentence in refusal(raw)


def test_a_legacy_charset_is_believed_when_the_body_is_not_utf_8():
    latin = "application/json; charset=ISO-8859-1"
    assert event('{"name": "Zoë"}'.encode("latin-1"), latin) == {"name": "Zoë"}
    assert event('{"name": "Zoë"}'.encode(), latin) == {"name": "Zoë"}


@pytest.mark.parametrize("charset", ["klingon", "punycode", "unicode_escape", "hex", "undefined"])
def test_a_charset_that_is_none_counts_as_utf_8(charset):
    assert event(b"name=Zo%C3%AB", f"{FORM}; charset={charset}") == {"name": "Zoë"}


def test_forms_become_objects():
    raw = b"name=Zo%C3%AB+M&tag=a&tag=b&empty=&flag"
    assert event(raw, FORM) == {"name": "Zoë M", "tag": ["a", "b"], "empty": "", "flag": ""}
    assert event("name=Zoë".encode(), FORM) == {"name": "Zoë"}  # not escaped, though it should be
    assert event(b"name=Zo%EB", f'{FORM}; charset="latin1"') == {"name": "Zoë"}
    assert event(b"[a=1&b=2", FORM) == {"[a": "1", "b": "2"}


def test_a_form_with_too_many_fields_is_refused(settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 3
    assert refusal(b"a=&b=&c=&d=", FORM) == "The form can't be read: it has more than 3 fields."
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 1
    files = part("a", "1", '; filename="a"') * 2 + b"--xx--"
    sentence = "The multipart form can't be read: it has more than 1 files."
    assert refusal(files, MULTIPART) == sentence


@pytest.mark.parametrize("content_type", [JSON, "", "application/ld+json", FORM, MULTIPART])
def test_a_compressed_body_is_named_as_such(content_type):
    sentence = "The body is compressed: post it without Content-Encoding."
    assert refusal(gzip.compress(b"{}"), content_type) == sentence


def test_a_multipart_form_that_was_cut_off_is_refused():
    whole = part("a", "1") + part("b", "2") + b"--xx--"
    assert event(whole, MULTIPART) == {"a": "1", "b": "2"}
    sentence = "The multipart form can't be read: its last boundary is missing."
    assert refusal(whole[:-2], MULTIPART) == sentence
    assert refusal(part("a", "1"), MULTIPART) == sentence


def part(name, content, extra="", headers=""):
    disposition = f'Content-Disposition: form-data; name="{name}"{extra}\r\n{headers}'
    return f"--xx\r\n{disposition}\r\n{content}\r\n".encode()


def test_multipart_forms_become_objects_and_files_are_described():
    file = 'filename="a.pdf"', "Content-Type: application/pdf\r\n"
    raw = part("name", "Zoë") + part("tag", "a") + part("tag", "b")
    raw += part("doc", "12345", f"; {file[0]}", file[1]) + b"--xx--\r\n"
    assert event(raw, MULTIPART) == {
        "name": "Zoë",
        "tag": ["a", "b"],
        "doc": {"filename": "a.pdf", "content_type": "application/pdf", "size": 5},
    }
    assert event(b"--xx--\r\n", MULTIPART) == {}


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (b"hello", MULTIPART),
        (b"--xx\r\n", "multipart/form-data"),
        (b"--xx\r\n", "multipart/form-data; boundary=" + "é" * 300),
        (b"--xx\r\nContent-Disposition: form-data; name*=nope''%41\r\n\r\n1\r\n--xx--", MULTIPART),
    ],
)
def test_a_broken_multipart_form_is_refused(raw, content_type):
    assert refusal(raw, content_type).startswith("The multipart form can't be read: ")


def test_other_content_is_kept_raw():
    assert event(b"<a/>", "text/xml") == {"raw": "<a/>", "content_type": "text/xml"}
    assert event(b"\xff\x00", "image/png") == {"raw": "/wA=", "content_type": "image/png"}
    assert event(b"{not json", "text/plain") == {"raw": "{not json", "content_type": "text/plain"}


def test_a_query_becomes_fields():
    assert bodies.query_fields(b"a=1&b=2&b=3&c") == {"a": "1", "b": ["2", "3"], "c": ""}
    assert bodies.query_fields("name=Zoë".encode()) == {"name": "Zoë"}
    assert bodies.query_fields(b"nul=%00&half=%ED%A0%80&bad=%FF%zz")["nul"] == "\0"


def test_a_query_that_can_not_be_read_is_kept_whole(settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1
    assert bodies.query_fields(b"a=1&b=\xff") == {"query": "a=1&b=\ufffd"}


CONTENT_TYPES = st.one_of(
    st.sampled_from(["", JSON, FORM, MULTIPART, "text/plain", "multipart/form-data; boundary="]),
    st.builds("{}; charset={}".format, st.sampled_from([JSON, FORM, MULTIPART]), st.text()),
    st.text(),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
BODIES = st.one_of(
    st.binary(),
    st.builds(b'--xx\r\nContent-Disposition: form-data; name="a"%b--xx--'.__mod__, st.binary()),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.text().map(lambda text: text.encode("utf-16", "surrogatepass")),
)


@settings(max_examples=400, deadline=None)
@given(raw=BODIES, content_type=CONTENT_TYPES)
@example(b'"\\ud800"', JSON)
@example(b"hello", "multipart/form-data; boundary=\x00")
@example(b"a=%ED%A0%80&b=%00", FORM)
@example(b'--xx\r\nContent-Disposition: form-data; name="a"; filename="\x00"\r\n\r\n', MULTIPART)
def test_any_bytes_are_read_or_refused(raw, content_type):
    try:
        body = bodies.read(raw, content_type)
    except UnreadableBody as refused:
        assert 0 < len(str(refused)) <= 300
        assert str(refused).isprintable()
        body = bodies.as_raw(raw)
    assert isinstance(body, Body)
    body.text.encode()  # any database takes it: no NUL, no half surrogates
    assert "\0" not in body.text
    payload = bodies.payload(body.form, body.text, content_type)
    assert isinstance(payload, dict)
    field = JsonText()
    assert field.from_db_value(field.get_prep_value(payload), None, None) == payload
