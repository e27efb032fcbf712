"""What filling in attributes may cost, whatever the payload and the text."""

import gc
import json
import os
import subprocess
import sys
from time import thread_time
from unittest.mock import Mock

import pytest
from liquid.exceptions import LiquidError

from apps.actions.kinds.http_api import HttpApi
from apps.core import budget, liquid
from apps.core.budget import Exhausted, one_budget
from apps.engine.models import Attempt
from tests.factories import published
from tests.installation import ROOT

# A look comes after a step, and no step takes longer than this.
BUDGET_MS, STEP_MS = 20, 1_000


@pytest.mark.once
@pytest.mark.parametrize(
    ("place", "first", "shares", "texts"),
    [*(("plain", first, 4, 10 * 12) for first in range(4)), ("json_text", 0, 1, 10 * 6)],
)
def test_no_filter_and_no_tag_takes_more_than_its_budget(place, first, shares, texts):
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    env["SWITCHBOARD_RENDER_MS"] = str(BUDGET_MS)
    command = [sys.executable, "-m", "tests.core.hostile_liquid", place, str(first), str(shares)]
    told = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    found = json.loads(told.stdout)
    slow = {text: cost for text, cost in found["slowest"].items() if cost[0] > BUDGET_MS + STEP_MS}
    assert slow == {}
    assert found["grew"] < 50
    assert len(found["slowest"]) > texts


def lists(count):
    return {"event": {"items": [{"sku": n % 1000, "of": {"n": n}} for n in range(count)]}}


def test_uniq_is_done_in_one_pass():
    text = "{{ event.items | uniq: 'sku' | size }} {{ event.items | uniq | size }}"
    assert liquid.render(text, lists(9_000)) == "1000 9000"


@pytest.mark.parametrize(
    ("text", "filled_in"),
    [
        ("{{ v | uniq | join }}", "1 a 1.5 None b"),
        ("{{ o | uniq: 'k' | map: 'n' | join }}", "1 3 4"),
        ("{{ o | uniq | size }}", "4"),
        ("{{ 'text' | uniq | join }}", "text"),
        ("{{ w | strip_html }}", "a < b bold end <i"),
        ("{{ 'a,b,,c' | split: ',' | join: '-' }}", "a-b--c"),
        ("{{ 'abc' | split: '' | join: '-' }}", "a-b-c"),
        ("{{ n | sort: nothing | join }}", "1 2 3"),
        ("{{ '' | split: ',' | size }}{{ ',' | split: ',' | size }}", "00"),
    ],
)
def test_our_own_filters_do_what_those_of_liquid_do(text, filled_in):
    scope = {
        "v": [1, "a", 1.0, True, 1.5, "a", None, "b"],
        "n": [3, 1, 2],
        "nothing": None,
        "o": [{"k": 1, "n": 1}, {"k": 1, "n": 2}, {"k": [1], "n": 3}, {"n": 4}],
        "w": "a < b <b>bold</b> <!-- <i> --><script>x<b>y</script ><STYLE>p</STYLE>end <i",
    }
    assert liquid.render(text, scope) == filled_in


def test_a_text_that_takes_too_long_says_so(settings):
    settings.RENDER_MS = 20
    text = "{% for a in (1..100) %}{% for b in (1..100) %}{{ event.items | sort: 'sku' | size }}"
    text += "{% endfor %}{% endfor %}"
    begun = thread_time()
    with pytest.raises(LiquidError) as told:
        liquid.render(text, lists(5_000))
    assert liquid.reason(told.value) == "it takes longer than 20 ms"
    assert thread_time() - begun < 1


def test_all_texts_of_an_action_share_one_budget(settings):
    settings.RENDER_MS = 60
    text = "{{ event.items | sort: 'sku' | map: 'sku' | join: ',' | size }}"
    scope = lists(9_000)
    with pytest.raises(Exhausted):
        liquid.render_json([text] * 100, scope)
    with pytest.raises(Exhausted), one_budget():
        for _ in range(100):
            liquid.render(text, scope)
    liquid.render(text, scope)


def test_no_text_is_to_blame_for_a_collection_of_garbage(settings):
    settings.RENDER_MS = 30
    kept = [[n] for n in range(600_000)]
    begun = thread_time()
    gc.collect()
    assert thread_time() - begun > 0.03 and kept
    with one_budget() as spent, spent.spend():
        gc.collect()
        spent.look()
        while thread_time() - begun < 10:
            try:
                spent.look()
            except Exhausted:
                return
    raise AssertionError("nor for anything else")


def test_what_never_looks_is_broken_off_in_the_main_thread(settings, monkeypatch):
    settings.RENDER_MS = 20
    monkeypatch.setattr(budget, "current", Mock)  # nobody looks
    budget.watch_main_thread()
    text = "{% for a in (1..10000) %}{{ event.items | sort: 'sku' | size }}{% endfor %}"
    begun = thread_time()
    try:
        with pytest.raises(Exhausted):
            liquid.render(text, lists(5_000))
    finally:
        budget.stop_watching()
    assert thread_time() - begun < 1


def test_no_memory_is_an_error_of_the_text(monkeypatch):
    def none_left(*args):
        raise MemoryError

    monkeypatch.setattr(liquid.Template, "render", none_left)
    with pytest.raises(LiquidError, match="too much memory"):
        liquid.render("{{ event.a | upcase }}", {"event": {"a": 1}})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ event.long | split: ',' | size }}", "there are more than 10,000 parts of a text"),
        ("{{ event.items | map: 'sku' }}", "there are more than 10,000 items in a list"),
        ("{{ (1..10002) | join }}", "there are more than 10,000 items in a list"),
        ("{{ event.long | replace: ',', event.long }}", "there are more than 1,048,576 characters"),
        ("{{ event.long | date: '%Y' }}", "there are more than 100 characters in a date"),
    ],
)
def test_what_is_too_large_for_a_filter_is_said(text, says):
    scope = {"event": {"long": "a," * 20_000, **lists(10_001)["event"]}}
    with pytest.raises(LiquidError) as told:
        liquid.render(text, scope)
    assert liquid.reason(told.value).startswith(says)


def test_one_long_text_many_times_over_is_refused_before_it_is_written():
    scope = {"event": {"same": ["x" * 800_000] * 9_000}}
    for text in ("{{ event.same | reverse }}", "{{ event.same | reverse | join }}"):
        with pytest.raises(LiquidError) as told:
            liquid.render(text, scope)
        assert "characters of text" in liquid.reason(told.value)


def test_the_size_and_the_ends_of_any_list_can_be_asked_for():
    text = "{{ event.items | size }} {{ event.items.size }} {{ event.items | first | map: 'sku' }}"
    assert liquid.render(text, lists(50_000)).startswith("50000 50000 ")


@pytest.mark.parametrize("place", liquid.PLACES)
def test_plain_attributes_stop_where_a_text_is_full(place):
    """Before the next value is made into text: a hundred of them take no longer than two."""
    scope = {"v": {f"key {n}": n for n in range(60_000)}}
    begun = thread_time()
    with pytest.raises(LiquidError):
        liquid.render("{{ v }}" * 100, scope, place)
    assert thread_time() - begun < 5


def test_all_texts_of_an_action_have_a_bound():
    scope = {"v": ["x" * 500_000]}
    document = [{"a": "{{ v }}", "b": "{{ v[0] }}."} for _ in range(10)]
    with one_budget(), pytest.raises(LiquidError, match="too long altogether"):
        liquid.render_json(document, scope)
    with one_budget():
        for _ in range(8):
            liquid.render("{{ v[0] }}", scope)
        with pytest.raises(LiquidError, match="too long altogether"):
            liquid.render("{{ v[0] }}", scope)
    liquid.render("{{ v[0] }}", scope)


def test_no_payload_takes_the_place_of_a_field():
    document = {"role": "user", "{{ k }}": "{{ v }}"}
    assert liquid.render_json(document, {"k": "a", "v": 1}) == {"role": "user", "a": 1}
    with pytest.raises(LiquidError, match="the same name"):
        liquid.render_json(document, {"k": "role", "v": "admin"})


@pytest.mark.django_db
def test_two_texts_of_an_action_share_what_it_has(post, drain, settings):
    """And a drain is watched by a timer: neither goes without a look."""
    settings.RENDER_MS = 60
    slow = "{% for a in event.items %}{{ a | append: a | upcase | downcase | strip }}{% endfor %}"
    headers = [{"name": f"X-{n}", "value": slow} for n in range(30)]
    call = {"url": "http://127.0.0.1:9/", "method": "GET", "headers": headers}
    post(published([(HttpApi, call)]), {"items": ["x"] * 400})
    drain()
    assert "takes longer than 60 ms" in Attempt.objects.get().note
