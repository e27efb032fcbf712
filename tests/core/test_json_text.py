"""JSON that an operator wrote as text: no payload changes what it is made of."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from liquid.exceptions import LiquidError

from apps.core import liquid
from apps.core.liquid import as_text, clean

EVIL = 'Ana", "admin": true, "x": "'
EVENT = {
    "evil": EVIL,
    "fragment": '1, "admin": true',
    "n": 5,
    "digits": "5",
    "object": {"a": [1, 'q"']},
    "as_text": '{"a": [1]}',
    "lines": '[1,\r\n{"admin": true}\n]',
    "empty": "",
    "null": None,
    "yes": True,
    "end": "\\",
    "items": [{"sku": 'A"'}, {"sku": "B"}],
    "breaks": "a\u2028b\u2029c\x85d\n\r\x0b\x1c",
    "most": {"n": [float("inf"), float("-inf"), float("nan"), "Infinity", "NaN"]},
    "infinite": float("inf"),
}


def filled_in(text, missing=None, event=EVENT):
    return liquid.render(text, {"event": event}, "json_text", missing)


# --- inside and outside of strings ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('{"a": "{{ event.evil }}"}', {"a": EVIL}),
        ('{"a": "{{ event.evil }}-{{ event.evil }}"}', {"a": f"{EVIL}-{EVIL}"}),
        ('{"a": "{{ event.evil }}{{ event.end }}"}', {"a": EVIL + "\\"}),
        ('{"{{ event.evil }}": 1}', {EVIL: 1}),
        (r'"\"{{ event.evil }}\""', f'"{EVIL}"'),
        (r'["\\", {{ event.evil }}, "\\\"{{ event.evil }}"]', ["\\", EVIL, f'\\"{EVIL}']),
        ('{"a": "{{ event.object }}"}', {"a": '{"a":[1,"q\\""]}'}),
        ('["{{ event.n }}", "{{ event.yes }}", "{{ event.null }}"]', ["5", "true", ""]),
        (
            "[{{ event.n }}, {{ event.yes }}, {{ event.null }}, {{ event.nobody }}]",
            [5, True, None, None],
        ),
        ('{"a": {{ event.object }}}', {"a": EVENT["object"]}),
        (
            '{"a": {{ event.evil }}, "b": {{ event.fragment }}}',
            {"a": EVIL, "b": '1, "admin": true'},
        ),
        ("[{{ event.digits }}, {{ event.as_text }}, {{ event.empty }}]", [5, {"a": [1]}, ""]),
        ("{{ event.evil }}", EVIL),
        (
            "[{{ event.infinite }}, {{ event.most }}]",
            [None, {"n": [None] * 3 + ["Infinity", "NaN"]}],
        ),
        (
            "[{{ 'NaN' }}, {{ '-Infinity' }}, {{ '01' }}, {{ '1.' }}]",
            ["NaN", "-Infinity", "01", "1."],
        ),
        ("[{{ '\ufeff5' }}, {{ ' 5 ' }}, {{ '\u00a05' }}]", ["\ufeff5", 5, "\u00a05"]),
        ("[{{ event.n | times: 1.5 }}, {{ event.items | map: 'sku' }}]", [7.5, ['A"', "B"]]),
        ("[{{ event.evil | upcase }}, {{ event.nobody | default: 0 }}]", [EVIL.upper(), 0]),
        (
            '{% assign a = event.evil %}{% if event.yes %}["{% endif %}{{ a }}", {{ a }}]',
            [EVIL, EVIL],
        ),
        (
            '[{% for i in event.items %}{"sku": "{{ i.sku }}", "n": {{ forloop.index }}}'
            "{% unless forloop.last %},{% endunless %}{% endfor %}]",
            [{"sku": 'A"', "n": 1}, {"sku": "B", "n": 2}],
        ),
    ],
)
def test_a_value_is_one_value_or_a_part_of_one_text(text, read):
    assert json.loads(filled_in(text)) == read


def test_a_backslash_before_an_attribute_is_a_backslash_whatever_the_value():
    for value, read in [("Temp", "C:\\Temp"), ("", "C:\\"), ('"', 'C:\\"'), ("\\", "C:\\\\")]:
        text = filled_in(r'{"path": "C:\{{ event.x }}"}', event={"x": value})
        assert json.loads(text) == {"path": read}


def test_what_is_missing_is_null_outside_of_strings_and_noted():
    missing = []
    text = '{"a": {{ event.a }}, "b": "{{ event.b }}", "c": {{ event.c | upcase }}}'
    assert filled_in(text, missing) == '{"a": null, "b": "", "c": ""}'
    assert missing == ["event.a", "event.b", "event.c"]


def test_what_the_operator_wrote_is_left_as_it_is():
    text = '{ "a" : [1,\n2 , "\u2028é"], b: {{ event.n }} // "\n'
    assert filled_in(text) == text.replace("{{ event.n }}", "5")


def test_json_lines_stay_lines():
    line = '{"a": "{{ event.breaks }}", "b": {{ event.breaks }}, "c": {{ event.lines }}}'
    read = {"a": EVENT["breaks"], "b": EVENT["breaks"], "c": [1, {"admin": True}]}
    lines = filled_in(f"{line}\n{line}\n").splitlines()
    assert [json.loads(each) for each in lines] == [read, read]


# --- captures -------------------------------------------------------------------------------------

CAPTURES = [
    # As if it stood where it is written.
    ("Hi {{ event.evil }}", '"{{ c }}"', f"Hi {EVIL}"),
    ("{{ event.evil }}", '["{{ c }}", {{ c }}]', [EVIL, EVIL]),
    ("{{ event.nobody }}", '["{{ c }}", {{ c }}]', ["", None]),
    ('{"a": "{{ event.evil }}"},', "[{{ c }}{{ c }}0]", [{"a": EVIL}, {"a": EVIL}, 0]),
    ('"a": "', '{ {{ c }}{{ event.evil }}" }', {"a": EVIL}),
    ("{% capture d %}{{ event.evil }}{% endcapture %}{{ d }}!", '"{{ c }}"', f"{EVIL}!"),
    # What filters and conditions see.
    (" Hi {{ event.evil }} ", '["{{ c | strip }}", {{ c | strip }}]', [f"Hi {EVIL.strip()}"] * 2),
    (' {"a": "{{ event.evil }}"} ', "{{ c | strip }}", {"a": EVIL}),
    (' {"a": "{{ event.evil }}"} ', "{% assign d = c | strip %}{{ d }}", {"a": EVIL}),
    ('{"a": "{{ event.evil }}"}', '{"b": "{{ c | strip }}"}', {"b": json.dumps({"a": EVIL})}),
    (' {"a": {{ event.fragment }}} ', "{{ c | strip }}", {"a": '1, "admin": true'}),
    ("{{ event.evil }}", "{% if c == event.evil %}1{% else %}0{% endif %}", 1),
    ("{{ event.nobody }}", '{% if c == "" %}1{% endif %}', 1),
    ("{{ event.nobody }}", "[{{ c | default: 7 }}]", [7]),
    ("{{ event.evil }}", "[{{ c | default: 7 }}]", [EVIL]),
    ("{% if true %}{% capture c %}{{ event.evil }}{% endcapture %}{% endif %}", '"{{ c }}"', ""),
]


@pytest.mark.parametrize(("contents", "text", "read"), CAPTURES)
def test_what_was_captured_is_encoded_once_where_it_is_written(contents, text, read):
    text = "{% capture c %}" + contents + "{% endcapture %}" + text
    assert json.loads(filled_in(text)) == read


# --- escapejs, which escaped for JSON before this place did ---------------------------------------


def test_what_escapejs_escaped_is_not_escaped_again():
    text = """{% assign a = event.evil | escapejs %}
        ["{{ event.evil | escapejs }}", {{ event.evil | escapejs }}, "{{ a }}",
         "{{ a | append: '' }}"]
    """
    *thrice, changed = json.loads(filled_in(text))
    assert thrice == [EVIL] * 3 and "\\u0022" in changed


@given(st.text())
def test_what_escapejs_gives_may_stand_in_a_string(value):
    read = json.loads(filled_in('"{{ event.x | escapejs }}"', event={"x": value}))
    assert read.replace("\0", "") == clean(value)


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{{ event.long }}",
        '"{{ event.control }}"',
        "{{ event.half }}" * 3,
        "{{ event.half | append: event.half }}{{ event.half }}",
        "{% capture c %}{{ event.half }}{% endcapture %}{{ c }}{{ c }}{{ c }}",
        "{% capture c %}" + "{{ event.half }}" * 3 + "{% endcapture %}",
        "{% capture c %}[{{ event.control }}]{% endcapture %}",
    ],
)
def test_a_text_has_a_limit(text):
    event = {"long": "é" * 600_000, "half": "x" * 400_000, "control": "\x01" * 200_000}
    with pytest.raises(LiquidError) as told:
        filled_in(text, event=event)
    assert liquid.reason(told.value) == "output stream limit reached"


def test_what_was_written_is_not_read_again_at_each_attribute(settings):
    settings.RENDER_MS = 2_000  # again and again, it would take many times that
    own = '\\"' * 40
    text = '[{% for i in (1..9900) %}"' + own + '{{ i }}",{% endfor %}0]'
    assert json.loads(filled_in(text))[9_899] == '"' * 40 + "9900"


def test_it_is_not_seen_through_very_many_lists():
    many = "[" + "[]," * 10_000 + "[]]"
    with pytest.raises(LiquidError, match="more than 10,000 objects and lists in a text"):
        filled_in("{{ event.many }}", event={"many": many})
    assert json.loads(filled_in('"{{ event.many }}"', event={"many": many})) == many


# --- any template, any payload --------------------------------------------------------------------

HOSTILE = st.text(alphabet='"\\{}[]:,1e- a\n\r\t\x00\x1f\x7f\x85\u2028é\ud800\udc00😀', max_size=8)
KEYS = st.text(max_size=3) | HOSTILE
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | HOSTILE
    | st.sampled_from(['{"a": 1}', "[1,\n2]", "5", ' "x" ', '"', "null", "1, 2", "\\", '\\"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
# How a template may write value number N.
WAYS = [
    "{{ event.v[N] }}",
    "{% assign x = event.v[N] %}{{ x }}",
    "{% capture x %}{{ event.v[N] }}{% endcapture %}{{ x }}",
    "{% capture x %}{% capture y %}{{ event.v[N] }}{% endcapture %}{{ y }}{% endcapture %}{{ x }}",
    "{% if true %}{{ event.v[N] }}{% endif %}",
    "{% for x in (1..1) %}{{ event.v[N] }}{% endfor %}",
]
OWN = st.text(alphabet='ab"\\/\n\t\u2028é', max_size=4)
PARTS = st.lists(OWN | st.integers(0, 3), max_size=4)  # own texts, and numbers of values
TEMPLATES = st.recursive(
    st.tuples(st.just("text"), PARTS)
    | st.tuples(st.just("bare"), st.integers(0, 3))
    | st.tuples(st.just("own"), st.sampled_from([1, None, True, -2.5])),
    lambda inner: (
        st.tuples(st.just("list"), st.lists(inner, max_size=3))
        | st.tuples(st.just("object"), st.lists(st.tuples(PARTS, inner), max_size=3))
    ),
    max_leaves=6,
)


def written(node, way):
    """The template's text."""
    kind, of = node
    if kind == "text":
        parts = (
            json.dumps(p)[1:-1] if isinstance(p, str) else way.replace("N", str(p)) for p in of
        )
        return f'"{"".join(parts)}"'
    if kind == "bare":
        return way.replace("N", str(of))
    if kind == "own":
        return json.dumps(of)
    if kind == "list":
        return f"[{', '.join(written(each, way) for each in of)}]"
    pairs = (f"{written(('text', key), way)}: {written(value, way)}" for key, value in of)
    return f"{{{', '.join(pairs)} }}"


def meant(node, values):
    """What a reader of the filled in text must find; objects as lists of pairs."""
    kind, of = node
    if kind == "text":
        return "".join(p if isinstance(p, str) else as_text(values[p]) for p in of)
    if kind == "bare":
        return meant_outside(values[of])
    if kind == "own":
        return of
    if kind == "list":
        return [meant(each, values) for each in of]
    return Pairs((meant(("text", key), values), meant(value, values)) for key, value in of)


class Pairs(list):
    """The pairs of an object, equal keys too."""

    def __eq__(self, other):
        return isinstance(other, Pairs) and list(self) == list(other)


def no_number(name):
    raise ValueError(name)


def read_back(text):
    return json.loads(text, object_pairs_hook=Pairs, parse_constant=no_number)


def meant_outside(value):
    if not isinstance(value, str):
        text = clean(json.dumps(value, ensure_ascii=False))
        return read_back(re.sub(r"-?\bInfinity\b", "null", text))
    try:
        return read_back(clean(value))
    except ValueError:
        return clean(value)


@given(
    template=TEMPLATES,
    way=st.sampled_from(WAYS),
    values=st.lists(VALUES, min_size=4, max_size=4),
)
def test_no_payload_changes_what_a_body_is_made_of(template, way, values):
    filled = filled_in(written(template, way), event={"v": values})
    assert read_back(filled) == meant(template, values)
