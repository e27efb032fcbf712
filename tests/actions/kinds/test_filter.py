import pytest
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.actions.kinds.filter import Filter, check_conditions
from apps.actions.kinds.map_contact import MapContact
from apps.crm.models import Contact
from apps.engine.models import Attempt
from tests.factories import published

pytestmark = pytest.mark.django_db

INSIDE = (MapContact, {"email": "inside@example.org"})
NEXT = (MapContact, {"email": "next@example.org"})


def conditions(*rows, **columns):
    keys = ("left", "operator", "right", "group")
    return Filter, {"conditions": [dict(zip(keys, row, strict=False)) for row in rows], **columns}


TOTAL = ("event.total", "number:greater", "50")
PAID = ("event.status", "text:is", "paid")


def passed_on():
    return sorted(contact.email.split("@")[0] for contact in Contact.objects.all())


@pytest.mark.parametrize(
    ("match", "event", "passes"),
    [
        ("all", {"total": 51, "status": "Paid"}, True),
        ("all", {"total": 50, "status": "paid"}, False),
        ("all", {"total": 51}, False),
        ("any", {"total": 1, "status": "paid"}, True),
        ("any", {"total": 51}, True),
        ("any", {"total": 1, "status": "open"}, False),
    ],
)
def test_it_guards_the_rest_of_its_step(happen, told, match, event, passes):
    run = happen([conditions(TOTAL, PAID, match=match), INSIDE], [NEXT], event=event)
    assert passed_on() == (["inside", "next"] if passes else ["next"])
    entry = told(run, "filter")
    assert (entry.result, run.state) == ("done" if passes else "skipped", "done")
    assert [seen["left"] for seen in entry.went_in["conditions"]] == [
        event.get("total"),
        event.get("status"),
    ]


def test_what_stands_before_it_has_run_already(happen):
    happen([INSIDE, conditions(TOTAL), NEXT], event={"total": 1})
    assert passed_on() == ["inside"]


def test_without_conditions_it_passes(happen, told):
    run = happen([conditions(), INSIDE])
    assert (told(run, "filter").note, passed_on()) == ("Passed", ["inside"])


def test_the_note_names_the_condition_that_failed(happen, told):
    entry = told(happen([conditions(PAID, TOTAL)], event={"status": "paid", "total": 5}), "filter")
    assert entry.note == "Not passed: event.total greater than 50"


def test_an_unreadable_number_is_false_and_told(happen, told):
    rows = [("event.total", "number:not_equals", "50"), PAID]
    event = {"total": "lots", "status": "paid"}
    run = happen([conditions(*rows), INSIDE], event=event)
    assert (passed_on(), told(run, "filter").note) == ([], 'Not passed: "lots" is not a number')
    run = happen([conditions(*rows, match="any"), INSIDE], event=event)
    assert told(run, "filter").note == 'Passed ("lots" is not a number)'


def test_a_missing_attribute_is_empty_and_noted(happen, told):
    run = happen([conditions(("event.nothing", "text:empty", "")), INSIDE])
    assert (passed_on(), told(run, "filter").missing) == (["inside"], ["event.nothing"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ('event["Full name"]', "Ana B"),
        ("event.items[1].sku", "S2"),
        ("event.items.size", 2),
        ("custom_variables.from", "ad"),
        ("event.custom_variables.from", "ad"),
        ("contact.name", "Ana"),
        ("event.none | default: 'x'", "x"),
    ],
)
def test_paths(post, drain, clock, path, value):
    made = published(
        [conditions((path, "text:is", str(value)))],
        mapping={"phone": "{{ event.phone }}", "name": "Ana"},
    )
    event = {
        "Full name": "Ana B",
        "items": [{"sku": "S1"}, {"sku": "S2"}],
        "phone": "+4915112345678",
    }
    post(made, event, path="?from=ad")
    drain()
    entry = Attempt.objects.get(kind="filter")
    assert (entry.result, entry.went_in["conditions"][0]["left"]) == ("done", value)


def test_the_value_may_be_an_attribute_too(happen):
    row = ("event.city", "text:in_list", "{{ event.cities }}")
    happen([conditions(row), INSIDE], event={"city": "Bonn", "cities": ["Köln", "bonn"]})
    assert passed_on() == ["inside"]


@pytest.mark.parametrize(
    ("row", "passes"),  # it is 12:00 UTC, 13:00 in Berlin
    [
        (("event.start", "datetime:after", "{{ now }}"), True),
        (("event.start", "datetime:before", "{{ now }}"), False),
        (("event.start", "date:is", "{{ now }}"), True),
        (("event.start", "datetime:on", "{{ now }}"), True),
        (("event.start", "date:is", '{{ "today" | date: "%Y-%m-%d" }}'), True),
        (("now", "time:between", "13:00,17:00"), True),
        (("now", "time:before", "13:00"), False),
        (("event.email", "email:ends_with", "@example.org"), True),
        (("event.shop", "website:is", "{{ event.other_shop }}"), False),
    ],
)
def test_dates_and_addresses_of_the_event(happen, settings, row, passes):
    settings.TIME_ZONE = "Europe/Berlin"
    event = {"start": "2026-03-02T22:00:00Z", "email": "Ana@Example.org", "shop": "a.example.org"}
    happen([conditions(row), INSIDE], event={**event, "other_shop": "b.example.org"})
    assert passed_on() == (["inside"] if passes else [])


# (total > 50 or paid) and (from a shop or vip)
GROUPED = [
    (*TOTAL, "money"),
    (*PAID, "money"),
    ("event.shop", "text:not_empty", "", "who"),
    ("event.vip", "text:is", "true", "who"),
]


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        ({"total": 60, "shop": "a"}, True),
        ({"status": "paid", "vip": True}, True),
        ({"total": 60, "status": "paid"}, False),
        ({"shop": "a", "vip": True}, False),
    ],
)
def test_groups_mix_all_and_any(happen, event, passes):
    happen([conditions(*GROUPED, match="all", group_match="any"), INSIDE], event=event)
    assert passed_on() == (["inside"] if passes else [])


def test_a_loose_condition_stands_beside_the_groups(happen):
    rows = [(*TOTAL, "g"), (*PAID, "g"), ("event.vip", "text:is", "true")]
    grouped = conditions(*rows, match="any", group_match="all")
    happen([grouped, INSIDE], event={"vip": True})
    happen([grouped, NEXT], event={"total": 60})
    assert passed_on() == ["inside"]


def test_a_filter_that_cannot_be_judged_never_lets_the_step_run(happen, told):
    run = happen([conditions(("event.a | divided_by: 0", "text:is", "1")), INSIDE], [NEXT])
    entry = told(run, "filter")
    assert entry.note == "An attribute can't be filled in: divided_by: can't divide by 0"
    assert (entry.result, passed_on()) == ("failed", ["next"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    match=st.sampled_from(["all", "any"]),
    group_match=st.sampled_from(["all", "any"]),
    rows=st.lists(st.tuples(st.booleans(), st.sampled_from(["", "a", "b"])), max_size=6),
)
def test_any_mixture_decides_as_plainly_read(match, group_match, rows):
    every = {"all": all, "any": any}
    groups = {name: [ok for ok, group in rows if group == name] for _, name in rows if name}
    verdicts = [ok for ok, group in rows if not group]
    verdicts += [every[group_match](group) for group in groups.values()]
    made = Filter(match=match, group_match=group_match)
    expected = every[match](verdicts) if verdicts else True
    assert made._holds([group for _, group in rows], [ok for ok, _ in rows]) == expected


def test_a_turn_done_again_judges_once(happen, lost_turn):
    run = happen([conditions(TOTAL), INSIDE], event={"total": 60})
    assert (lost_turn, run.state, passed_on()) == ([True], "done", ["inside"])
    assert Attempt.objects.filter(kind="filter").count() == 1


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (("", "text:is", "x"), "Row 1: Choose an attribute."),
        (("event.a", "text:is", ""), "Row 1: fill in the value to compare with."),
        (("event.a", "text:looks_like", "x"), "Row 1: choose an operator from the list."),
        (("event.a", "number:greater", "ten"), 'Row 1: "ten" is not a number.'),
        (("event.a", "number:between", "10"), "Row 1: between needs two numbers with a comma"),
        (("event.a", "date:on", "soon"), 'Row 1: "soon" is not a date.'),
        (("event.a | shout", "text:is", "x"), "unknown filter 'shout'"),
        (("event.a", "text:is", "{{ event."), "An attribute can't be read"),
    ],
)
def test_what_could_never_hold_is_refused_when_it_is_saved(row, sentence):
    kind, columns = conditions(row)
    with pytest.raises(ValidationError, match=sentence.replace("|", "\\|")):
        check_conditions(columns["conditions"])
    assert len(kind(**columns).problems()) == 1


def test_good_conditions_are_no_problem():
    kind, columns = conditions(TOTAL, PAID, ("event.a", "text:empty"), *GROUPED)
    check_conditions(columns["conditions"])
    assert kind(**columns).problems() == []


def test_the_summary_reads_as_a_sentence():
    kind, columns = conditions(TOTAL, PAID, match="any")
    assert kind(**columns).summary() == "event.total greater than 50 or event.status is paid"
    assert Filter().summary() == "No conditions: passes"
