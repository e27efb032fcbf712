"""Every filter and tag of our Liquid with hostile values, in a process of its own: prints, for each
text, how long it took (CPU milliseconds), and at the end how far the process grew (MB). Its
arguments: the place that the texts are rendered for, which of them is the first, and the step."""

import json
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from time import thread_time
from typing import Any

import django

HUGE = "x" * 900_000
VALUES: dict[str, Any] = {
    "text": HUGE,
    "tags": "<a" * 450_000,
    "comments": "<!--" * 225_000,
    "scripts": "<script>" * 110_000,
    "entities": "&#" * 450_000,
    "commas": "a," * 450_000,
    "spaces": " " * 900_000,
    "too_many_digits": "9" * 900_000,
    "exponent": "1e999999999",
    "number": 10**4_200,
    "infinite": float("inf"),
    "numbers": list(range(300_000)),
    "objects": [{"k": n, "v": {"k": [n]}} for n in range(40_000)],
    "some_objects": [{"k": n % 9, "v": {"k": [n]}} for n in range(9_000)],
    "unlike": [1, "a", None, {"k": 1}, [2], 1.5, True] * 1_400,
    "same": [{"k": 1}] * 9_000,
    "wide": [[[n] * 90 for n in range(90)] for _ in range(90)],
    "object": {f"k{n}": n for n in range(60_000)},
    "nothing": None,
    "moment": datetime(2026, 3, 2, tzinfo=UTC),
}
deep: Any = []
for _ in range(900):
    deep = [deep]
VALUES["deep"] = deep

# Texts that are hard to see through as JSON.
AS_JSON: dict[str, Any] = {
    "lists": "[" + "[]," * 300_000 + "[]]",
    "objects_in_a_text": "[" + '{"a":1},' * 110_000 + "[",
    "just_as_many": "[" + "[]," * 9_990 + " " * 860_000 + "[]]",
    "openings": "[" * 900_000,
    "quotes": '"' * 900_000,
    "backslashes": "\\" * 900_000,
    "line_ends": "\u2028" * 250_000,
    "late": " " * 900_000 + "5",
}

FILTERED = [
    "{{ v | F }}",
    "{{ v | F: v }}",
    "{{ v | F: 'k' }}",
    "{{ v | F: 1000000000000 }}",
    "{{ v | F: -1000000000000, 1000000000000 }}",
    "{{ v | F: 'k', v }}",
    "{{ v | F: '', v }}",
    "{{ (1..1000000000000) | F }}",
    "{% assign x = v %}" + "{% assign x = x | F: x %}" * 40 + "{{ x }}",
    "{% for i in (1..10000) %}{% assign x = v | F: 'k' %}{% endfor %}",
    "{% for i in (1..10000) %}{{ v | F: i }}{% endfor %}",
]
TAGGED = [
    "{% for i in (1..1000000000000) %}x{% endfor %}",
    "{% for i in (1..1000000000000) reversed %}x{% endfor %}",
    "{% for i in (1..1000000000000) limit: 1 offset: 999999999999 %}x{% endfor %}",
    "{% for i in (1..v) %}x{% endfor %}",
    "{% for i in v %}{% for j in v %}x{% endfor %}{% endfor %}",
    "{% for i in (1..100) %}{% for j in (1..100) %}{{ v }}{% endfor %}{% endfor %}",
    "{% for i in (1..10000) %}{% if v contains 'nothing like it' %}x{% endif %}{% endfor %}",
    "{% for i in (1..10000) %}{% if v == v %}{% endif %}{% endfor %}",
    "{% for i in (1..10000) %}" + "{% if 1 == 1 %}{% endif %}" * 900 + "{% endfor %}",
    "{% for i in (1..10000) %}" + "{% assign a = 1 %}" * 300 + "{% endfor %}",
    "{% for i in (1..10000) %}{% case v %}{% when v %}{% endcase %}{% endfor %}",
    "{% if (1..1000000000000) contains 'x' %}x{% endif %}",
    "{% if v contains v %}x{% endif %}",
    "{% unless v == v %}x{% endunless %}",
    "{{ (1..1000000000000) }}",
    "{{ v }}{{ v }}",
    "{{ v[0][0][0] }}{{ v.size }}{{ v.first }}{{ v.last }}",
    "{% assign x = v %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}",
    "{% assign x = '9' %}{% for i in (1..60) %}{% assign x = x | times: x %}{% endfor %}{{ x }}",
]
# What depends on how values are written.
WRITTEN = [
    "{% capture x %}{{ v }}{% endcapture %}{% for i in (1..10000) %}{{ x }}{% endfor %}",
    "{% capture x %}{{ nobody }}{% endcapture %}"
    + "{% capture x %}{{ x }}{{ x }}{% endcapture %}" * 40
    + '"{{ x }}"' * 100,
    "{% capture x %}{{ nobody }}{% endcapture %}"
    + "{% capture x %}{{ x }}{{ x }}{% endcapture %}" * 16
    + '"{{ x }}"' * 100,
    "{% for i in (1..10000) %}{% capture x %}[{{ v }}]{% endcapture %}{% if x == v %}{% endif %}"
    "{% endfor %}",
    '"{{ v }}{{ v }}"' * 100,
    "{{ v }}" * 100,
    "{% for i in (1..10000) %}" + '"\\"' * 300 + "{% endfor %}",
]
# Of filters, too, it is how their results are written that counts: as texts, lists, numbers.
SOME = ["append", "escapejs", "join", "map", "reverse", "times"]


def texts(place: str) -> Iterator[str]:
    from apps.core.liquid import environments

    for name in sorted(environments["plain"].filters) if place == "plain" else SOME:
        for text in FILTERED:
            yield text.replace("F", name)
    yield from TAGGED
    if place != "plain":
        yield from WRITTEN


def main() -> None:
    place, share = sys.argv[1], slice(int(sys.argv[2]), None, int(sys.argv[3]))
    values = VALUES | (AS_JSON if place == "json_text" else {})
    django.setup()
    from liquid.exceptions import LiquidError

    from apps.core import liquid

    liquid.render("{{ v | upcase }}", {"v": "a"}, place)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest: dict[str, tuple[float, str]] = {}
    for text in list(texts(place))[share]:
        for name, value in values.items():
            begun = thread_time()
            try:
                outcome = f"{len(liquid.render(text, {'v': value}, place)):,} characters"
            except LiquidError as error:
                outcome = liquid.reason(error)
            took = (thread_time() - begun) * 1000
            slowest[text] = max(slowest.get(text, (0.0, "")), (took, f"{name}: {outcome}"))
    grew = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"slowest": slowest, "grew": grew}))


if __name__ == "__main__":
    main()
