"""*On error*: retry. A failed action is tried again after growing waits, then the run goes on."""

from datetime import timedelta

import pytest
from django.db import OperationalError

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.route_to_connector import RouteToConnector
from apps.actions.kinds.send_message import SendMessage
from apps.connectors.outcomes import Done, Failed, Wait
from apps.crm.models import Contact, Tag
from apps.engine import delays, group
from apps.engine.cancel import cancel_runs
from apps.engine.models import Attempt, Delay, Run
from apps.engine.retries import wait_before
from apps.messaging.models import Message, OptOut, OptOutList
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, published

pytestmark = pytest.mark.django_db
ANA = "+4915112345678"
RETRY = {"on_error": "retry", "retry_times": 2, "retry_wait": 60}
AFTER = (MapContact, {"label": "After", "phone": "+4915199999999"})


@pytest.fixture
def tries(monkeypatch):
    """Make Add Tag come to these outcomes, one a try; returns the keys that it was given."""
    keys = []

    def come_to(*outcomes):
        left = list(outcomes)

        def perform(self, run):
            keys.append(run.key)
            return left.pop(0)

        monkeypatch.setattr(AddTag, "perform", perform)
        monkeypatch.setattr(AddTag, "needs_contact", False)
        return keys

    return come_to


def start(post, drain, *steps):
    """Post an event to a connector of these steps and do what is due."""
    post(published(*steps), {"phone": ANA})
    drain()
    return Run.objects.get()


def told():
    return [(entry.result, entry.note) for entry in Attempt.objects.order_by("pk")]


def test_a_failed_action_waits_is_tried_again_and_the_run_goes_on(post, drain, clock, tries):
    keys = tries(Failed("The shop is closed."), Done("Tagged"))
    run = start(post, drain, [(AddTag, {"new_tags": "x", "label": "Mark", **RETRY}), AFTER])
    assert (run.state, run.position, run.tries) == ("waiting", 0, 1)
    delay = Delay.objects.get()
    assert (delay.label, delay.identifier, delay.state) == ("Retry 1 of 2: Mark", "", "waiting")
    assert delay.wake_at == clock.now + timedelta(seconds=60)
    assert told() == [
        ("retrying", "The shop is closed. Retry 1 of 2 follows at 2026-03-02 12:01:00 UTC.")
    ]
    clock.tick(seconds=59)
    assert drain() == 0
    clock.tick(seconds=1)
    drain()
    run.refresh_from_db()
    assert (run.state, run.tries, run.error) == ("done", 0, "")
    assert [result for result, _ in told()] == ["retrying", "done", "done"]
    assert keys[0] == keys[1]


def test_each_wait_is_twice_the_one_before(post, drain, clock, tries):
    tries(*[Failed("Closed")] * 3)
    start(post, drain, [(AddTag, {"new_tags": "x", **RETRY}), AFTER])
    clock.tick(seconds=60)
    drain()
    assert Delay.objects.latest("pk").wake_at == clock.now + timedelta(seconds=120)
    assert Delay.objects.latest("pk").label == "Retry 2 of 2: Add Tag"


@pytest.mark.parametrize(("then", "state"), [("stop", "failed"), ("continue", "done")])
def test_when_the_retries_are_used_up(post, drain, clock, tries, then, state):
    tries(*[Failed("Closed")] * 3)
    run = start(post, drain, [(AddTag, {"new_tags": "x", **RETRY, "retry_then": then}), AFTER])
    for _ in range(2):
        clock.tick(hours=1)
        drain()
    run.refresh_from_db()
    stops = then == "stop"
    assert (run.state, run.tries, run.position) == (state, 0, 0 if stops else 2)
    assert run.error == ("Add Tag: Closed. All 2 retries have failed." if stops else "")
    assert Attempt.objects.get(result="failed").note == "Closed. All 2 retries have failed."
    assert Contact.objects.exists() is not stops


def test_the_next_action_has_retries_of_its_own(post, drain, clock, tries):
    tries(Failed("Closed"), Done(), Failed("Closed"), Done())
    twice = [(AddTag, {"new_tags": "x", **RETRY}), (AddTag, {"new_tags": "y", **RETRY})]
    run = start(post, drain, twice)
    clock.tick(seconds=60)
    drain()
    run.refresh_from_db()
    assert (run.state, run.position, run.tries) == ("waiting", 1, 1)
    assert Delay.objects.latest("pk").label == "Retry 1 of 2: Add Tag"
    clock.tick(seconds=60)
    drain()
    assert Run.objects.get().state == "done"


@pytest.mark.parametrize(
    ("number", "first", "asked", "seconds"),
    [
        (1, 60, None, 60),
        (4, 60, None, 480),
        (20, 1, None, 86_400),
        (20, 86_400, None, 86_400),
        (1, 60, timedelta(seconds=10), 60),
        (1, 60, timedelta(hours=2), 7_200),
        (1, 60, timedelta(days=30), 7 * 86_400),
    ],
)
def test_waits_grow_up_to_a_day_unless_more_is_asked_for(number, first, asked, seconds):
    assert wait_before(number, first, asked) == timedelta(seconds=seconds)


def test_who_asks_for_time_gets_it(post, drain, clock, tries):
    tries(Failed("Busy", retry_after=timedelta(hours=3)))
    start(post, drain, [(AddTag, {"new_tags": "x", **RETRY})])
    assert Delay.objects.get().wake_at == clock.now + timedelta(hours=3)


def test_an_unknown_outcome_is_never_retried_and_stops(post, drain, clock, tries):
    tries(Failed("The answer was lost", unknown=True))
    columns = {"new_tags": "x", **RETRY, "retry_then": "continue"}
    run = start(post, drain, [(AddTag, columns), AFTER])
    assert run.state == "failed"
    assert run.error.endswith("lost. Whether it worked is unknown, so it is not retried.")
    assert not Delay.objects.exists()


def test_what_breaks_is_retried_too_and_leaves_nothing_behind(post, drain, clock, monkeypatch):
    real, first = AddTag.perform, clock.now

    def breaks_at_first(self, run):
        outcome = real(self, run)
        if run.now == first:
            raise ValueError("after the tag was written")
        return outcome

    monkeypatch.setattr(AddTag, "perform", breaks_at_first)
    run = start(
        post,
        drain,
        [(MapContact, {"phone": "{{ event.phone }}"}), (AddTag, {"new_tags": "x", **RETRY})],
    )
    assert (run.state, run.position) == ("waiting", 1)
    assert not Tag.objects.exists()
    clock.tick(minutes=1)
    drain()
    assert [str(tag) for tag in Contact.objects.get().tag_links.all()] == ["x"]


def test_the_rest_of_the_step_is_skipped_as_before(post, drain, clock, tries):
    tries(Failed("No", rest_of_step=True))
    run = start(post, drain, [(AddTag, {"new_tags": "x", **RETRY}), AFTER])
    assert (run.state, Contact.objects.exists()) == ("done", False)


def test_a_failure_that_is_retried_keeps_the_contact(post, drain, clock):
    flow = [(MapContact, {"phone": ANA}), (MapContact, {"phone": "{{ event.none }}", **RETRY})]
    run = start(post, drain, flow)
    assert run.contact_id == Contact.objects.get().pk
    for _ in range(2):
        clock.tick(hours=1)
        drain()
    run.refresh_from_db()
    assert (run.state, run.contact_id) == ("failed", None)


def test_a_retried_wait_sleeps_as_any_other(post, drain, clock, tries):
    tries(Failed("Closed"), Wait(clock.now + timedelta(hours=5), "x"))
    run = start(post, drain, [(AddTag, {"new_tags": "x", **RETRY}), AFTER])
    clock.tick(minutes=1)
    drain()
    run.refresh_from_db()
    assert (run.state, run.position, run.tries) == ("waiting", 1, 0)
    clock.tick(hours=5)
    drain()
    assert Run.objects.get().state == "done"


def test_a_delay_counts_from_the_try_that_worked(post, drain, clock, tries):
    tries(Failed("Closed"), Done("Tagged"))
    flow = [(AddTag, {"new_tags": "x", **RETRY}), (DelayAction, {"amount": 2, "unit": "hours"})]
    start(post, drain, flow)
    assert Run.objects.get().last_executed_at is None
    clock.tick(minutes=1)
    assert delays.wake() == 1
    assert Run.objects.get().last_executed_at is None
    drain()
    assert Delay.objects.latest("pk").wake_at == clock.now + timedelta(hours=2)


def test_a_retry_is_cancelled_with_its_run_or_by_its_delay(post, drain, clock, tries):
    tries(*[Failed("Closed")] * 2)
    connector = published([(AddTag, {"new_tags": "x", **RETRY}), AFTER])
    for _ in range(2):
        post(connector, {})
    drain()
    first, second = Run.objects.order_by("pk")
    assert delays.cancel(connector.pk, "", "no") == 0
    assert cancel_runs([first.pk], "no") == 1
    assert delays.cancel_one(Delay.objects.get(run=second), "Cancelled by ana")
    clock.tick(days=1)
    assert drain() == 0
    assert set(Run.objects.values_list("state", flat=True)) == {"cancelled"}
    assert set(Delay.objects.values_list("state", flat=True)) == {"cancelled"}
    assert Attempt.objects.latest("pk").label == "Retry 1 of 2: Add Tag"


def test_a_lost_turn_counts_no_try(post, drain, clock, tries, monkeypatch):
    tries(*[Failed("Closed")] * 2)
    write, lost = group._write, iter([True])

    def lose_once(*arguments):
        write(*arguments)
        if next(lost, False):
            raise OperationalError("database is locked")

    monkeypatch.setattr(group, "_write", lose_once)
    run = start(post, drain, [(AddTag, {"new_tags": "x", **RETRY})])
    assert run.tries == 1
    assert (Delay.objects.count(), Attempt.objects.count()) == (1, 1)


def test_who_was_refused_is_judged_again(post, drain, clock):
    channel = ChannelFactory()
    system, _ = OptOutList.objects.get_or_create(is_system=True, defaults={"name": "Opted out"})
    entry = OptOut.objects.create(list=system, channel=channel, address=ANA)
    message = {"channel": channel, "recipients": [{"to": ANA}], "text": "Hi", **RETRY}
    run = start(post, drain, [(SendMessage, message)])
    assert (run.state, Message.objects.get().state) == ("waiting", "refused")
    entry.delete()
    clock.tick(minutes=1)
    drain()
    assert (Run.objects.get().state, Message.objects.get().state) == ("done", "sent")
    assert PhoneMessage.objects.get().text == "Hi"


def test_a_target_that_is_switched_on_in_time_is_reached(post, drain, clock):
    target = published([AFTER], enabled=False)
    run = start(post, drain, [(RouteToConnector, {"connector": target, **RETRY})])
    assert run.state == "waiting"
    type(target).objects.filter(pk=target.pk).update(enabled=True)
    clock.tick(minutes=1)
    drain()
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}
    assert Contact.objects.exists()
