import pytest
from django.db import connection
from django.db.models import RestrictedError
from django.test.utils import CaptureQueriesContext

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.trigger_counter import TriggerCounter
from apps.builder.links import kind_url
from apps.connectors.models import Action
from apps.connectors.publish import find_problems
from apps.crm.models import Contact
from apps.datastore import counters
from apps.datastore.models import CounterValue
from apps.engine.models import Run
from tests.factories import ContactFactory, CounterFactory, StepFactory, published

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}


@pytest.fixture
def orders():
    return CounterFactory(name="Orders", maximum=10)


def trigger(counter, amount="1", operation="increase", **more):
    return TriggerCounter, {"counter": counter, "amount": amount, "operation": operation, **more}


def tagging(text):
    return AddTag, {"new_tags": text}


def tags():
    return sorted(Contact.objects.get().tag_links.values_list("tag__name", flat=True))


@pytest.mark.parametrize(
    ("operation", "amount", "value"),
    [
        ("increase", "1", 6),
        ("increase", "{{ event.count }}", 8),
        ("increase", "-{{ event.count }}", 2),
        ("increase", "99", 10),
        ("decrease", "{{ event.count }}", 2),
        ("decrease", "9", -4),
        ("set", "{{ event.count }}", 3),
        ("set", "99", 10),
    ],
)
def test_it_counts_and_says_where_it_stands(happen, told, orders, operation, amount, value):
    counters.set_to(orders, 5)
    run = happen([trigger(orders, amount, operation)], event={"count": 3})
    assert counters.current(orders) == value
    entry = told(run, "trigger_counter")
    assert (entry.result, entry.note) == ("done", f"Orders is now {value}")
    assert entry.came_out == {"value": value}
    assert entry.went_in["counter"] == "Orders"


def test_later_actions_read_the_value_it_gave_and_where_it_stands(happen, orders):
    steps = [
        trigger(orders, label="First"),
        trigger(orders, "2"),
        tagging("gave {{ counter.first.value }}, at {{ counters.orders }}"),
        tagging("much {{ counters.orders | plus: 40 }}"),
    ]
    happen(steps, event=ANA, mapping=BY_PHONE)
    assert tags() == ["at 3", "gave 1", "much 43"]


def test_what_reaches_the_maximum_is_seen_and_the_next_begins_again(happen, told):
    counter = CounterFactory(name="Places", maximum=2, reset_at_maximum=True)
    full = {"left": "counter.trigger_counter.value", "operator": "number:equals", "right": "2"}
    connector = [trigger(counter), (Filter, {"conditions": [full]})]
    results = [told(happen(connector), "filter").result for _ in range(4)]
    assert results == ["skipped", "done", "skipped", "done"]
    assert counters.current(counter) == 2


def test_each_contact_is_counted_for_itself(happen):
    counter = CounterFactory(name="Visits", key="visits", scope="contact")
    steps = [trigger(counter), tagging("visit {{ counters.visits }}")]
    for phone in (PHONE, PHONE, "+4915112345679"):
        happen(steps, event={"phone": phone}, mapping=BY_PHONE)
    kept = CounterValue.objects.values_list("contact__phone", "value").order_by("contact__phone")
    assert list(kept) == [(PHONE, 2), ("+4915112345679", 1)]


def test_a_contact_that_is_mapped_on_the_way_counts(happen):
    counter = CounterFactory(key="visits", scope="contact")
    steps = [(MapContact, {"phone": PHONE}), trigger(counter), tagging("{{ counters.visits }}")]
    happen(steps)
    assert tags() == ["1"]


def test_without_a_contact_a_counter_of_contacts_is_skipped(happen, told, orders):
    counter = CounterFactory(scope="contact")
    run = happen([trigger(counter), trigger(orders, "2")])
    kept = CounterValue.objects.get()
    assert (kept.counter, kept.value, run.state) == (orders, 2, "done")


def test_the_skip_says_why(happen, told):
    run = happen([trigger(CounterFactory(scope="contact"))])
    entry = told(run, "trigger_counter")
    assert (entry.result, entry.note, run.state) == ("skipped", "No contact mapped", "done")
    assert not CounterValue.objects.exists()


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
@pytest.mark.parametrize(
    ("count", "note"),
    [
        ("many", '"many" is not a whole number.'),
        (2.5, '"2.5" is not a whole number.'),
        (None, "The amount is empty, so the counter was left as it is."),
        (10**16, f'"{10**16}" is more than a counter can hold (1,000,000,000,000,000).'),
    ],
)
def test_a_bad_amount_fails_and_counts_nothing(happen, told, orders, count, note, on_error, state):
    steps = [trigger(orders, "{{ event.count }}", on_error=on_error), tagging("after")]
    run = happen(steps, event={**ANA, "count": count}, mapping=BY_PHONE)
    entry = told(run, "trigger_counter")
    assert (entry.result, entry.note, run.state) == ("failed", note, state)
    assert not CounterValue.objects.exists()
    assert tags() == (["after"] if on_error == "continue" else [])


def test_a_counter_that_is_gone_fails(post, drain, clock, told, orders):
    connector = published([trigger(orders)])
    TriggerCounter.objects.all().delete()  # from the draft, which frees the counter
    orders.delete()
    post(connector, {})
    drain()
    assert told(Run.objects.get(), "trigger_counter").note == 'Counter "Orders" was deleted'


def test_a_turn_done_again_counts_once(happen, lost_turn, orders):
    run = happen([trigger(orders)])
    assert (lost_turn, run.state) == ([True], "done")
    assert counters.current(orders) == 1


def test_what_is_missing_is_a_problem(orders):
    assert TriggerCounter().problems() == ["Choose a counter."]
    assert TriggerCounter(counter=orders, amount=" ").problems() == ["Fill in the amount."]
    assert TriggerCounter(counter=orders, amount="x").problems() == ['"x" is not a whole number.']
    assert TriggerCounter(counter=orders, amount="{{ event.x }}").problems() == []
    assert TriggerCounter(counter=orders).problems() == []
    assert TriggerCounter(counter=orders).summary() == "Orders: Increase by 1"


def test_a_counter_in_use_cannot_be_deleted(orders):
    published([trigger(orders)])
    with pytest.raises(RestrictedError):
        orders.delete()


# --- filters on counters -------------------------------------------------------------------------


def asking(*rows, **columns):
    return Filter, {"rows": {"counters": list(rows)}, **columns}


@pytest.mark.parametrize(
    ("operator", "right", "passes"),
    [
        ("equals", "5", True),
        ("not_equals", "5", False),
        ("greater", "{{ event.limit }}", True),
        ("less", "5", False),
        ("between", "1,5", True),
        ("not_between", "1,5", False),
    ],
)
def test_a_filter_asks_where_a_counter_stands(happen, told, orders, operator, right, passes):
    counters.set_to(orders, 5)
    guard = asking({"counter": orders, "operator": f"number:{operator}", "right": right})
    run = happen([guard, tagging("inside")], event={**ANA, "limit": 4}, mapping=BY_PHONE)
    (seen,) = told(run, "filter").went_in["conditions"]
    assert (seen["left"], seen["passed"]) == (5, passes)
    assert tags() == (["inside"] if passes else [])
    assert CounterValue.objects.get().value == 5


def test_asking_neither_makes_nor_changes_a_value(happen, orders):
    happen([asking({"counter": orders, "operator": "number:equals", "right": "0"})])
    assert not CounterValue.objects.exists()


def test_the_tenth_patient_of_the_day_is_told_that_it_is_full(happen, told, clock):
    counter = CounterFactory(name="Patients", reset_unit="day", timezone="Europe/Berlin")
    full = asking({"counter": counter, "operator": "number:greater", "right": "2"})
    day = [happen([trigger(counter), full]) for _ in range(3)]
    assert [told(run, "filter").result for run in day] == ["skipped", "skipped", "done"]
    clock.tick(days=1)
    run = happen([trigger(counter), full])
    assert told(run, "filter").note == "Not passed: Patients greater than 2"


def test_a_filter_asks_for_the_contact_of_the_run(happen, told):
    counter = CounterFactory(name="Visits", scope="contact")
    counters.set_to(counter, 5, ContactFactory(phone=PHONE))
    guard = asking({"counter": counter, "operator": "number:equals", "right": "5"})
    assert told(happen([guard], event=ANA, mapping=BY_PHONE), "filter").result == "done"
    other = {"phone": "+4915112345679"}
    assert told(happen([guard], event=other, mapping=BY_PHONE), "filter").result == "skipped"
    assert told(happen([guard]), "filter").note == "Not passed: No contact mapped"


def test_counters_stand_in_groups_beside_other_conditions(happen, told, orders):
    paid = {"left": "event.paid", "operator": "text:is", "right": "yes", "group": "a"}
    row = {"counter": orders, "operator": "number:equals", "right": "0", "group": "a"}
    guard = asking(row, conditions=[paid], group_match="all")
    assert told(happen([guard], event={"paid": "yes"}), "filter").result == "done"
    assert told(happen([guard], event={"paid": "no"}), "filter").result == "skipped"


def test_what_cannot_be_compared_keeps_the_draft_from_being_published(orders):
    action = Filter.objects.create(step=StepFactory())
    action.counters.create(counter=orders, operator="number:greater", right="lots")
    action.counters.create(counter=orders, operator="number:between", right="1,2")
    action.refresh_summary()
    (problem,) = find_problems(action.step.connector)
    assert problem.text == 'Orders greater than lots: "lots" is not a number.'
    assert action.summary_line == "Orders greater than lots and Orders between 1,2"


def test_a_filter_guards_its_counter(orders):
    published([asking({"counter": orders, "operator": "number:equals", "right": "5"})])
    with pytest.raises(RestrictedError):
        orders.delete()


def test_the_form_of_a_filter_takes_conditions_on_counters(admin_client, orders):
    step = StepFactory()
    sent = {"match": "all", "group_match": "any", "conditions": "[]", "enabled": "on"}
    for name, total in (("memberships", 0), ("counters", 1)):
        sent |= {f"{name}-TOTAL_FORMS": total, f"{name}-INITIAL_FORMS": 0}
    row = {"counter": orders.pk, "operator": "number:greater", "right": "lots", "group": ""}
    sent |= {f"counters-0-{name}": value for name, value in row.items()}
    page = f"{kind_url(Filter, 'add')}?step={step.pk}"
    assert "&quot;lots&quot; is not a number." in admin_client.post(page, sent).content.decode()
    assert admin_client.post(page, {**sent, "counters-0-right": "9"}).status_code == 302
    assert Action.objects.get().summary_line == "Orders greater than 9"


# --- texts ---------------------------------------------------------------------------------------


def test_a_name_that_is_no_counter_is_missing(happen, told):
    mine = CounterFactory(key="mine", scope="contact")
    assert mine.key == "mine"
    run = happen([(MapContact, {"phone": PHONE, "name": "{{ counters.mine }}{{ counters.x }}"})])
    assert told(run, "map_contact").missing == ["counters.mine", "counters.x"]


def test_texts_without_counters_ask_for_none(happen, orders):
    with CaptureQueriesContext(connection) as captured:
        happen([tagging("plain")], event=ANA, mapping=BY_PHONE)
    assert not any("datastore_counter" in query["sql"] for query in captured)
