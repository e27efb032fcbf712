import pytest

from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.map_contact import MapContact
from apps.connectors.publish import publish
from apps.crm.models import Contact
from apps.engine import delays
from apps.engine.models import Attempt, Run
from apps.engine.models import Delay as Sleeping
from tests.factories import published

pytestmark = pytest.mark.django_db

WAIT = (Delay, {"amount": 1, "unit": "days", "identifier": "{{ event.meeting }}"})
AFTER = (MapContact, {"phone": "+4915112345678"})


@pytest.fixture
def reminders(post, drain, clock):
    """A connector that waits a day; `reminders("m1", "m2")` posts one event for each meeting."""
    made = published([WAIT, AFTER], name="Reminders")

    def begin(*meetings, connector=made):
        for meeting in meetings:
            post(connector, {"meeting": meeting})
        drain()
        return connector

    return begin


def cancel(*pairs, **columns):
    targets = [{"connector": connector, "identifier": text} for connector, text in pairs]
    return CancelDelay, {**columns, "rows": {"targets": targets}}


def states(connector):
    return list(
        Run.objects.filter(connector=connector).order_by("pk").values_list("state", flat=True)
    )


def test_every_delay_with_the_identifier_ends_its_run(reminders, happen, told, drain, clock):
    connector = reminders("m1", "m2", "m1")
    run = happen([cancel((connector, "{{ event.gone }}"))], event={"gone": "m1"})
    entry = told(run, "cancel_delay")
    assert (entry.note, entry.came_out) == ("2 delays cancelled", {"count": 2})
    assert entry.went_in == {"connector 1": "Reminders", "identifier 1": "m1"}
    assert states(connector) == ["cancelled", "waiting", "cancelled"]
    clock.tick(days=1)
    drain()
    assert states(connector) == ["cancelled", "done", "cancelled"]
    assert Contact.objects.count() == 1


def test_the_cancelled_run_says_why(reminders, happen):
    connector = reminders("m1")
    run = happen([cancel((connector, "m1"))])
    cancelled = Run.objects.get(connector=connector)
    entry = Attempt.objects.filter(run=cancelled).latest("pk")
    assert (entry.kind, entry.label, entry.result) == ("delay", "Delay", "cancelled")
    assert entry.note == cancelled.error == f'Cancelled by run {run.pk} ("m1")'
    assert cancelled.finished_at is not None
    assert Sleeping.objects.get().state == "cancelled"


def test_several_pairs_at_once(reminders, happen, told, post, drain):
    first = reminders("m1", "m2", "m3")
    second = reminders("m1", connector=published([WAIT, AFTER], name="Other"))
    run = happen([cancel((first, "m1"), (first, "m3"), (second, "m1"))])
    assert told(run, "cancel_delay").came_out == {"count": 3}
    assert (states(first), states(second)) == (["cancelled", "waiting", "cancelled"], ["cancelled"])


def test_another_connector_is_left_alone(reminders, happen):
    first = reminders("m1")
    other = reminders("m1", connector=published([WAIT, AFTER], name="Other"))
    happen([cancel((first, "m1"))])
    assert states(other) == ["waiting"]


@pytest.mark.parametrize(
    ("stored", "asked", "found"),
    [
        ("m1", " m1 ", 1),
        (" m1\n", "m1", 1),
        ("M1", "m1", 0),
        ("m1", "m", 0),
        ("m1", "m%", 0),
        ("m 1", "m  1", 0),
        ("", "", 0),
        ("  ", " ", 0),
        ("ü" * 300, "ü" * 300, 1),
    ],
)
def test_identifiers_match_exactly_after_trimming(reminders, happen, told, stored, asked, found):
    connector = reminders(stored)
    run = happen([cancel((connector, "{{ event.asked }}"))], event={"asked": asked})
    assert told(run, "cancel_delay").came_out == {"count": found}


def test_nothing_found_is_a_success(reminders, happen, told):
    run = happen([cancel((reminders(), "m1")), AFTER])
    entry = told(run, "cancel_delay")
    assert (entry.result, entry.note, run.state) == ("done", "0 delays cancelled", "done")
    assert Contact.objects.count() == 1


def test_only_delays_that_wait_already_are_cancelled(reminders, happen, drain, clock):
    connector = reminders("m1")
    clock.tick(days=1)
    drain()
    happen([cancel((connector, "m1"))])
    reminders("m1")
    assert states(connector) == ["done", "waiting"]


def test_one_that_has_just_fired_is_too_late(reminders, happen, told, drain, clock):
    connector = reminders("m1")
    clock.tick(days=1)
    assert delays.wake() == 1
    run = happen([cancel((connector, "m1"))])
    assert told(run, "cancel_delay").came_out == {"count": 0}
    assert states(connector) == ["done"]


def test_execution_type_stop_ends_the_current_run(reminders, happen, told):
    connector = reminders("m1")
    run = happen([cancel((connector, "m1"), execution_type="stop"), AFTER])
    entry = told(run, "cancel_delay")
    assert (entry.result, entry.came_out) == ("stopped", {"count": 1})
    assert (run.state, Contact.objects.count()) == ("stopped", 0)


def test_a_connector_may_cancel_its_own_delays(reminders, happen, post, drain, clock):
    connector = reminders("m1")
    step = connector.steps.get()
    action = CancelDelay.objects.create(step=step, position=0)
    action.targets.create(connector=connector, identifier="{{ event.meeting }}")
    step.actions.exclude(pk=action.pk).update(position=1)
    publish(connector)
    reminders("m1")
    assert states(connector) == ["cancelled", "waiting"]


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_text_that_cannot_be_filled_in_cancels_nothing(reminders, happen, told, on_error, state):
    connector = reminders("m1")
    broken = "{{ 1 | divided_by: 0 }}"
    run = happen([cancel((connector, "m1"), (connector, broken), on_error=on_error), AFTER])
    assert told(run, "cancel_delay").result == "failed"
    assert (run.state, states(connector)) == (state, ["waiting"])
    assert Contact.objects.count() == int(on_error == "continue")


def test_a_turn_done_again_cancels_once(reminders, happen, lost_turn, told):
    connector = published([WAIT, AFTER])
    reminders("m1", connector=connector)
    assert lost_turn == [True]
    lost_turn.clear()
    run = happen([cancel((connector, "m1"))])
    assert (lost_turn, told(run, "cancel_delay").came_out) == ([True], {"count": 1})
    cancelled = Run.objects.get(connector=connector)
    assert Attempt.objects.filter(run=cancelled, result="cancelled").count() == 1


def test_what_is_missing_is_a_problem():
    sentence = "Add a connector and the identifier of the delay to cancel."
    assert CancelDelay().problems() == [sentence]
