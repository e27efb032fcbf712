import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.reset_counter import ResetCounter
from apps.crm.models import Tag
from apps.datastore import counters
from apps.datastore.models import CounterValue
from apps.engine.models import Run
from tests.factories import ContactFactory, CounterFactory, published

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}


@pytest.fixture
def orders():
    return CounterFactory(name="Orders", starts=3)


def test_it_goes_back_to_its_start_and_twice_is_once(happen, told, orders):
    counters.add(orders, 5)
    run = happen([(ResetCounter, {"counter": orders})])
    entry = told(run, "reset_counter")
    assert (entry.result, entry.note) == ("done", "Orders is back to 3")
    assert entry.came_out == {"value": 3}
    run = happen([(ResetCounter, {"counter": orders})])
    assert told(run, "reset_counter").note == "Orders stood at its start, 3, already"
    assert counters.current(orders) == 3


def test_later_actions_read_the_value(happen, orders):
    tagging = (AddTag, {"new_tags": "{{ counter.reset_counter.value }}"})
    happen([(ResetCounter, {"counter": orders}), tagging], event=ANA, mapping=BY_PHONE)
    assert Tag.objects.get().name == "3"


def test_only_the_runs_contact_is_reset(happen):
    counter = CounterFactory(scope="contact")
    ana, ben = ContactFactory(phone=PHONE), ContactFactory()
    for contact in (ana, ben):
        counters.add(counter, 5, contact)
    happen([(ResetCounter, {"counter": counter})], event=ANA, mapping=BY_PHONE)
    assert (counters.current(counter, ana), counters.current(counter, ben)) == (0, 5)


def test_without_a_contact_a_counter_of_contacts_is_skipped(happen, told):
    counter = CounterFactory(scope="contact")
    counters.add(counter, 5, ContactFactory())
    run = happen([(ResetCounter, {"counter": counter})])
    entry = told(run, "reset_counter")
    assert (entry.result, entry.note, run.state) == ("skipped", "No contact mapped", "done")
    assert CounterValue.objects.get().value == 5


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_a_counter_that_is_gone_fails(post, drain, clock, told, orders, on_error, state):
    connector = published([(ResetCounter, {"counter": orders, "on_error": on_error})])
    ResetCounter.objects.all().delete()
    orders.delete()
    post(connector, {})
    drain()
    run = Run.objects.get()
    assert (told(run, "reset_counter").note, run.state) == ('Counter "Orders" was deleted', state)


def test_a_turn_done_again_resets_once(happen, lost_turn, orders):
    counters.add(orders, 5)
    run = happen([(ResetCounter, {"counter": orders})])
    assert (lost_turn, run.state, counters.current(orders)) == ([True], "done", 3)


def test_what_is_missing_is_a_problem(orders):
    assert ResetCounter().problems() == ["Choose a counter."]
    assert ResetCounter(counter=orders).problems() == []
    assert ResetCounter(counter=orders).summary() == "Orders"
