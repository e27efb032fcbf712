"""Attributes in text: what is filled in, how it is encoded, what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from liquid.exceptions import LiquidError

from apps.core import liquid
from apps.core.budget import one_budget
from apps.core.liquid import PLACES, Template, evaluate, path_error, render, render_json, roots

EVENT = {
    "Full name": "Ana B",
    "city": "Köln",
    "items": [{"sku": "S1"}, {"sku": "S2", "sizes": ["M"]}],
    "total": 99.5,
    "count": 3,
    "paid": True,
    "note": None,
    "size": "the key wins",
    "a-b": "dash",
}
SCOPE = {"event": EVENT, "contact": {"name": ""}}


@pytest.mark.parametrize(
    ("text", "filled_in"),
    [
        ('Hi {{ event["Full name"] }}!', "Hi Ana B!"),
        ("{{ event['Full name'] }}", "Ana B"),
        ("{{ event.items[1].sku }}", "S2"),
        ("{{ event.items[-1].sizes[0] }}", "M"),
        ("{{ event.items.size }} {{ event.size }}", "2 the key wins"),
        ("{{ event.a-b }}", "dash"),
        ("{{ event.total }} {{ event.count }} {{ event.paid }}", "99.5 3 true"),
        ("[{{ event.note }}]", "[]"),
        ("{{ event.items }}", '[{"sku":"S1"},{"sku":"S2","sizes":["M"]}]'),
        ("{{ event.items[0] | default: 'x' }}", '{"sku":"S1"}'),
        ("{{ event.city | upcase }}", "KÖLN"),
        ("{% for item in event.items %}{{ item.sku }};{% endfor %}", "S1;S2;"),
        ("{% if event.paid %}yes{% else %}no{% endif %}", "yes"),
        ("{% case event.count %}{% when 3 %}three{% endcase %}", "three"),
        ("{% assign who = event.city %}{{ who }}", "Köln"),
        ("{% raw %}{{ event.city }}{% endraw %}", "{{ event.city }}"),
        ("{% comment %}not this{% endcomment %}this", "this"),
        ("{{- event.city -}} !", "Köln!"),
        ("no attribute at all", "no attribute at all"),
        ("100 % {sure}", "100 % {sure}"),
    ],
)
def test_filling_in(text, filled_in):
    missing = []
    assert (render(text, SCOPE, missing=missing), missing) == (filled_in, [])


@pytest.mark.parametrize(
    ("text", "filled_in", "noted"),
    [
        ("[{{ event.none }}]", "[]", ["event.none"]),
        ("{{ event.none.deeper[0] }}", "", ["event.none.deeper[0]"]),
        ('{{ event["Last name"] }}', "", ['event["Last name"]']),
        ("{{ event.items[7].sku }}", "", ["event.items[7].sku"]),
        ("{{ event.city.street }}", "", ["event.city.street"]),
        ("{{ nobody }}", "", ["nobody"]),
        ("{{ event.none | upcase }}", "", ["event.none"]),
        ("{{ event[event.none] }}", "", ["event[event.none]"]),
        ("{{ event.none | default: 'there' }}", "there", []),
        ("{{ contact.name | default: 'there' }}", "there", []),
        ("{{ event.none | upcase | default: 'there' }}", "there", []),
        ("{% if event.none %}x{% endif %}", "", []),
        ("{% for i in event.items %}{{ i.price }}{% endfor %}", "", ["i.price", "i.price"]),
    ],
)
def test_what_is_missing_is_empty_and_noted_unless_there_is_a_default(text, filled_in, noted):
    missing = []
    assert (render(text, SCOPE, missing=missing), missing) == (filled_in, noted)


# --- encoding -------------------------------------------------------------------------------------

HOSTILE = "\"a'&<b>\r\nX-Evil: 1\x00\ud800 {{ event.secret }} /?=%20\u2028é"
ENCODED = {
    "plain": "\"a'&<b>\r\nX-Evil: 1 {{ event.secret }} /?=%20\u2028é",
    "url": (
        "%22a%27%26%3Cb%3E%0D%0AX-Evil%3A%201%20%7B%7B%20event.secret%20%7D%7D%20"
        "%2F%3F%3D%2520%E2%80%A8%C3%A9"
    ),
    "json": "\\\"a'&<b>\\r\\nX-Evil: 1 {{ event.secret }} /?=%20\u2028é",
    "html": ("&quot;a&#x27;&amp;&lt;b&gt;\r\nX-Evil: 1 {{ event.secret }} /?=%20\u2028é"),
    "json_text": '"\\"a\'&<b>\\r\\nX-Evil: 1 {{ event.secret }} /?=%20\\u2028é"',
    "header": "\"a'&<b> X-Evil: 1 {{ event.secret }} /?=%20 é",
}
WAYS = [
    "{{ event.it }}",
    "{{ event.it | append: '' }}",
    "{% for it in event.all %}{{ it }}{% endfor %}",
    "{% capture it %}{{ event.it }}{% endcapture %}{{ it }}",
    "{% assign it = event.it %}{{ it }}",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_value_is_encoded_for_its_place_once_whatever_way_it_takes(place, way):
    scope = {"event": {"it": HOSTILE, "all": [HOSTILE], "secret": "s3cret"}}
    assert render(way, scope, place) == ENCODED[place]


def test_what_the_operator_wrote_is_left_as_it_is():
    assert render("<b>{{ event.x }}</b>", {"event": {"x": "<i>"}}, "html") == "<b>&lt;i&gt;</b>"
    captured = "{% capture it %}<b>{{ event.x }}</b>{% endcapture %}{{ it }}"
    assert render(captured, {"event": {"x": "<i>"}}, "html") == "<b>&lt;i&gt;</b>"


def test_an_encoded_capture_that_is_changed_is_encoded_again():
    text = "{% capture it %}{{ event.x }}{% endcapture %}{{ it | append: event.x }}"
    assert "<" not in render(text, {"event": {"x": "<i>"}}, "html")


@given(st.text(), st.sampled_from(["{{ x }}", "{{ x | strip }}"]))
def test_json_text_stays_json(value, text):
    assert json.loads(render(f'{{"it": "{text}"}}', {"x": value}, "json"))


@given(st.text())
def test_a_header_stays_one_line(value):
    assert len(f"X: {render('{{ x }}', {'x': value}, 'header')}".splitlines()) == 1


@given(st.text())
def test_html_stays_text(value):
    assert not set("<>\"'") & set(render("{{ x }}", {"x": value}, "html"))


# --- types ----------------------------------------------------------------------------------------


def test_a_leaf_that_is_exactly_one_attribute_keeps_its_type():
    body = {
        "id": "{{ event.count }}",
        "total": "{{event.total}}",
        "cents": "{{ event.count | times: 100 }}",
        "none": "{{ event.none | default: 0 }}",
        "note": "{{ event.note }}",
        "items": ["{{ event.items[0] }}", "n {{ event.count }}", 7, None, True],
        "{{ event.city }}": {"paid": "{{ event.paid }}"},
        "two": "{{ event.count }}{{ event.count }}",
        "skus": "{{ event.items | map: 'sku' }}",
    }
    assert render_json(body, SCOPE) == {
        "id": 3,
        "total": 99.5,
        "cents": 300,
        "none": 0,
        "note": None,
        "items": [{"sku": "S1"}, "n 3", 7, None, True],
        "Köln": {"paid": True},
        "two": "33",
        "skus": ["S1", "S2"],
    }


def test_a_path_gives_its_value():
    assert evaluate("event.items[0]", SCOPE) == {"sku": "S1"}
    assert evaluate("event.items.size", SCOPE) == 2
    assert evaluate("event.none", SCOPE, missing := []) is None
    assert missing == ["event.none"]


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ event.x | shout }}", "unknown filter 'shout'"),
        ("{% if event.x | shout %}{% endif %}", ""),
        ("{% for i in x %}{{ i | shout }}{% endfor %}", "unknown filter 'shout'"),
        ("{% fly %}", "unexpected tag 'fly'"),
        ("{{ event.x", "expected '}}'"),
        ("{{ }}", ""),
        ("{{ event. }}", ""),
        ("{{ event.items.0 }}", ""),
        ("{{ a b }}", ""),
        ("{% if event.x %}", ""),
        ("{{ " + "a[" * 3000 + "b" + "]" * 3000 + " }}", ""),
        ("{% if a %}" * 50 + "{% endif %}" * 50, "nesting"),
        *((f"{{% {tag} 'x' %}}", f"unexpected tag '{tag}'") for tag in ("include", "render")),
        *((f"{{% {tag} x %}}", f"unexpected tag '{tag}'") for tag in ("echo", "cycle", "liquid")),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(text, why):
    error = liquid.syntax_error(text)
    assert error.startswith("An attribute can't be read: ") and error.endswith(".")
    assert why in error and "\n" not in error
    assert roots(text) == set()
    with pytest.raises(LiquidError):
        render(text, SCOPE)


@pytest.mark.parametrize("path", ["event.total", 'event["Full name"]', "event.items[0].sku"])
def test_good_paths(path):
    assert path_error(path) == ""


@pytest.mark.parametrize("path", ["", " ", "event.", "event[", "a b", "x }} {{ y", "{{ x", "a | b"])
def test_bad_paths(path):
    assert path_error(path)


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in (1..100000) %}x{% endfor %}",
        "{% for i in (1..200) %}{% for j in (1..200) %}{% endfor %}{% endfor %}",
        "{% for i in (1..100) %}{{ event.long }}{% endfor %}",
        "{{ event.long }}" * 100,
        "{% capture x %}{{ event.long }}{% endcapture %}{{ x }}" * 100,
        "{{ 1 | divided_by: 0 }}",
        "{{ event.long | times: event.long | slice: 'a' }}",
    ],
)
def test_limits_and_filters_end_in_one_kind_of_error(text):
    with pytest.raises(LiquidError) as caught:
        render(text, {"event": {"long": "é" * 10_000}})
    assert "\n" not in liquid.reason(caught.value)


def test_time_comes_from_the_clock(clock):
    assert render("{{ 'now' | date: '%Y-%m-%d %H:%M' }}", {}) == "2026-03-02 12:00"
    missing = []
    assert (render("{{ now }}{{ today | upcase }}", {}, missing=missing), missing) == (
        "",
        ["now", "today"],
    )


def test_one_moment_reads_differently_in_each_timezone(clock, settings):
    text = "{{ 'now' | date: '%Y-%m-%d %H:%M%z' }}"
    settings.TIME_ZONE = "Europe/Berlin"
    assert render(text, {}) == "2026-03-02 13:00+0100"
    settings.TIME_ZONE = "America/New_York"
    assert render(text, {}) == "2026-03-02 07:00-0500"


def test_the_families_that_a_text_uses():
    assert roots("{{ event.a }} {% if contact.b %}{{ http.c.d | upcase }}{% endif %}") == {
        "event",
        "contact",
        "http",
    }
    assert roots("none") == set()


# --- paths ----------------------------------------------------------------------------------------

WORDS = "limit offset cols in for if else and or not contains true nil empty blank with as required"


@pytest.mark.parametrize("word", WORDS.split())
def test_a_word_of_the_language_is_a_name_behind_a_dot(word):
    assert path_error(f"event.{word}.size") == ""
    scope = {"event": {word: {"size": 7}}}
    assert evaluate(f"event.{word}.size", scope) == 7
    text = (
        f"{{% if event.{word}.size > 6 and event.{word} %}}{{{{ event.{word}.size }}}}{{% endif %}}"
    )
    assert render(text, scope) == "7"


def test_elsewhere_they_keep_their_meaning():
    scope = {"event": {"limit": 2, "in": [1, 2, 3], "or": ""}}
    text = "{% for x in event.in limit: event.limit %}{{ x }}{% endfor %}"
    assert render(text, scope) == "12"
    assert (
        render("{% if event.or contains 'a' or event.limit == 2 %}yes{% endif %}", scope) == "yes"
    )


@given(key=st.text() | st.text(alphabet="ab \"'[]{}%.-\n\\ü", max_size=6))
def test_a_path_leads_to_any_key_that_it_can_name(key):
    step = liquid.step(key)
    if step is not None:
        assert path_error(f"event{step}.a") == ""
        assert evaluate(f"event{step}", {"event": {key: 7}}) == 7
        assert render(f"{{{{ event{step}.a }}}}", {"event": {key: {"a": 7}}}) == "7"


@pytest.mark.parametrize(
    ("key", "step"),
    [
        ("Full name", '["Full name"]'),
        ("größe", ".größe"),
        ("Größe in cm", '["Größe in cm"]'),
        ('9" screen', '["9" screen"]'),
        ('a"]', "['a\"]']"),
        ("", '[""]'),
        ("1", '["1"]'),
        ("a}}", None),
        ("\0", None),
        ("\ud800", None),
        ("\"]']", None),
    ],
)
def test_how_a_path_goes_on(key, step):
    assert liquid.step(key) == step


# --- two ways to the same text --------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "Full name", "é", "0", "x-y"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
PATHS = st.lists(
    NAMES.map(lambda name: f"[{json.dumps(name, ensure_ascii=False)}]")
    | st.integers(-3, 3).map(lambda index: f"[{index}]"),
    max_size=3,
).map("".join)


@given(
    event=JSON,
    paths=st.lists(PATHS, min_size=1, max_size=3),
    between=st.text(alphabet='x \r\n<\u2028"\\', max_size=3),
    place=st.sampled_from(sorted(PLACES)),
)
def test_the_fast_path_and_liquid_itself_agree(event, paths, between, place):
    text = between.join(f"{{{{ event{path} }}}}" for path in paths)
    scope = {"event": event}
    fast, slow = Template(text, place), Template(text, place)
    assert fast.parts is not None
    slow.parts = None
    fast_missing, slow_missing = [], []
    with one_budget():
        assert fast.render(scope, fast_missing) == slow.render(scope, slow_missing)
        assert fast_missing == slow_missing
        assert fast.value(scope, []) == slow.value(scope, [])
