"""What ends delays touches only the runs that wait for them."""

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.delay import Delay as DelayAction
from apps.engine import cancel, delays
from apps.engine.models import Attempt, Delay, Run
from tests.factories import published

pytestmark = pytest.mark.django_db

OTHERS = [state for state in Run.State.values if state != "waiting"]


@pytest.fixture
def sleeper(post, drain, clock):
    """A run that sleeps for two hours and could be cancelled by the name *nap*."""
    nap = {"amount": 2, "unit": "hours", "identifier": "nap"}
    post(published([(DelayAction, nap), (AddTag, {"new_tags": "late"})]), {})
    drain()
    return Run.objects.get()


def as_it_is():
    return Run.objects.values("state", "error", "wake_at", "finished_at", "position").get()


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("state", OTHERS)
def test_waking_leaves_runs_alone_that_do_not_wait(sleeper, clock, state, held):
    Run.objects.update(state=state, error="As it was.")
    if held:
        Delay.objects.update(action_uid=None)
    before = as_it_is()
    clock.tick(hours=3)
    delays.wake()
    assert as_it_is() == before
    assert not Delay.objects.filter(state="waiting").exists()


@pytest.mark.parametrize("state", OTHERS)
def test_cancelling_by_identifier_leaves_runs_alone_that_do_not_wait(sleeper, clock, state):
    Run.objects.update(state=state, error="As it was.")
    before = as_it_is()
    clock.tick(minutes=1)
    delays.cancel(sleeper.connector_id, "nap", "By identifier")
    assert as_it_is() == before


@pytest.mark.parametrize("state", ["fired", "cancelled"])
def test_a_delay_that_has_ended_neither_wakes_nor_cancels_its_run(sleeper, clock, state):
    """The run sleeps again by now, in a later delay of another name."""
    Delay.objects.update(state=state, ended_at=clock.now)
    Delay.objects.create(
        run=sleeper,
        connector_id=sleeper.connector_id,
        action_uid=Delay.objects.get().action_uid,
        label="Later",
        wake_at=clock.now.replace(year=2027),
    )
    before = as_it_is()
    clock.tick(hours=3)
    assert delays.wake() == 0
    assert delays.cancel(sleeper.connector_id, "nap", "By identifier") == 0
    assert as_it_is() == before
    assert Delay.objects.get(label="Later").state == "waiting"
    assert not Attempt.objects.filter(result="cancelled").exists()


def test_a_delay_that_has_ended_is_too_late_to_be_cancelled_in_the_same_round(
    sleeper, post, drain, clock
):
    target = {"connector": sleeper.connector, "identifier": "nap"}
    canceller = published([(CancelDelay, {"rows": {"targets": [target]}})])
    clock.tick(hours=2)
    post(canceller, {})
    drain()
    sleeper.refresh_from_db()
    assert sleeper.state == "done"


def test_a_cancelled_delay_stands_in_the_timeline(sleeper, clock):
    assert delays.cancel(sleeper.connector_id, "nap", "By identifier") == 1
    entry = Attempt.objects.latest("pk")
    told = (entry.run_id, entry.kind, entry.label, entry.result, entry.note, entry.at)
    assert told == (sleeper.pk, "delay", "Delay", "cancelled", "By identifier", clock.now)


def test_cancelling_what_waits_leaves_the_others_of_the_connector_alone(sleeper, post, drain):
    for _ in OTHERS:
        post(sleeper.connector, {})
    drain()
    others = list(Run.objects.exclude(pk=sleeper.pk).values_list("pk", flat=True))
    for pk, state in zip(others, OTHERS, strict=True):
        Run.objects.filter(pk=pk).update(state=state)
    Delay.objects.filter(run__in=others).update(state="fired")
    assert cancel.cancel_waiting(sleeper.connector, "Published anew").done == 1
    assert Run.objects.get(pk=sleeper.pk).state == "cancelled"
    assert list(Run.objects.filter(pk__in=others).values_list("state", flat=True)) == OTHERS


def test_cancelling_what_is_open_leaves_what_has_ended_alone(sleeper, post, drain):
    for _ in Run.ENDED:
        post(sleeper.connector, {})
    drain()
    ended = list(Run.objects.exclude(pk=sleeper.pk).values_list("pk", flat=True))
    for pk, state in zip(ended, Run.ENDED, strict=True):
        Run.objects.filter(pk=pk).update(state=state, error="As it was.")
    assert cancel.cancel_open(sleeper.connector, "The connector was deleted.").done == 1
    kept = Run.objects.filter(pk__in=ended).order_by("pk").values_list("state", "error")
    assert list(kept) == [(state, "As it was.") for state in Run.ENDED]
