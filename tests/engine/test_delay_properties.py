"""Flows with delays at any place, several events, and workers that are killed at any moment: each
action runs once, in order, at its time and never early, as a plain model reckons it.

DELAY_EXAMPLES (40) is how many worlds are tried; make prove tries thousands.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from apps.connectors.publish import publish
from apps.engine import delays, group, intake, plan, rate, sweep, turn
from apps.engine.models import Attempt, Run
from apps.engine.models import Delay as Sleeping
from apps.messaging.models import Message
from tests.engine.delay_model import ZONE, Event, Instant, Item, World
from tests.factories import ChannelFactory, ConnectorFactory, StepFactory
from tests.owners import of_a_dead_process

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("DELAY_EXAMPLES", "40"))
# The clocks of Berlin change in the night that follows.
BEGINNING = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
PHONE = "+4915112345678"

# --- what is tried --------------------------------------------------------------------------------

MINUTES = [-1500, -61, -60, -1, 0, 1, 2, 30, 60, 61, 120, 1440, 1500, 2880]
NAMES = ["", "x", " x ", "y"]


def spelled(moment, how):
    """The moment as (what is posted, what it means)."""
    local = moment.astimezone(ZONE)
    match how:
        case "iso":
            return moment.isoformat(), moment
        case "local":
            return local.replace(tzinfo=None).isoformat(" "), local
        case "seconds":
            return int(moment.timestamp()), moment
        case "milliseconds":
            return f"{int(moment.timestamp())}000", moment
        case "day":
            return local.date().isoformat(), local.replace(hour=0, minute=0)
    return how, None


@st.composite
def events(draw):
    moment = BEGINNING + timedelta(minutes=draw(st.sampled_from(MINUTES)))
    forms = ["iso", "local", "seconds", "milliseconds", "day", "", "tomorrow", "2026-02-30"]
    start, means = spelled(moment, draw(st.sampled_from(forms)))
    flags = "".join(draw(st.sets(st.sampled_from("ab"))))
    return Event(flags, draw(st.sampled_from(NAMES)), start, means)


@st.composite
def items(draw):
    kind = draw(st.sampled_from(["delay", "delay", "delay", "mark", "mark", "filter", "cancel"]))
    kind = "stop" if kind == "mark" and draw(st.integers(0, 15)) == 15 else kind
    return Item(
        label="",
        kind=kind,
        flag=draw(st.sampled_from("ab")),
        counts_from=draw(st.sampled_from(["last_step", "event", "custom"])),
        direction=draw(st.sampled_from(["before", "on", "after"])),
        amount=draw(st.sampled_from([0, 1, 2, 30, 60])),
        unit=draw(st.sampled_from(["minutes", "minutes", "hours", "days"])),
        if_past=draw(st.sampled_from(["skip", "run"])),
        identifier=draw(st.sampled_from(["", "x", "{{ event.name }}", "y{{ event.name }}"])),
        then_stop=kind == "cancel" and draw(st.booleans()),
    )


@st.composite
def flows(draw):
    steps = draw(st.lists(st.lists(items(), min_size=1, max_size=4), min_size=1, max_size=4))
    numbers = iter(range(100))
    return [[Item(**{**vars(one), "label": f"{next(numbers)}"}) for one in step] for step in steps]


# Where a worker dies. LOST: what it had in hand was not committed.
LOST = ["after claim", "inside a turn", "half written", "before the commit"]
POINTS = [*LOST, "after the commit", "after waking", "at rest"]


@st.composite
def histories(draw):
    """[(pause, events, whether a worker is there, where it dies first)]; a pause is a number of
    minutes, or as many seconds (as text) as it goes on from when the next delay ends."""
    one = st.tuples(
        st.sampled_from(["-1", "+0", "+0", "+0", "+1", "+3600", 0, 1, 60, 1500]),
        st.lists(events(), max_size=2).map(tuple),
        st.sampled_from([True, True, True, False]),
        st.lists(st.sampled_from(POINTS), max_size=2),
    )
    first = (0, tuple(draw(st.lists(events(), min_size=1, max_size=3))), True, [])
    return [first, *draw(st.lists(one, min_size=2, max_size=8))]


# --- how it is tried ------------------------------------------------------------------------------


class Killed(BaseException):
    """kill -9: nothing catches it."""


class Reaper:
    """Kills the worker once at a chosen point, and starts another one."""

    def __init__(self, monkeypatch):
        self.point = ""
        self.was_reached = False
        for point, module, name in [
            ("after claim", turn, "claim_batch"),
            ("after claim", turn, "claim_suspect"),
            ("inside a turn", group, "advance"),
            ("half written", Sleeping.objects, "bulk_create"),
            ("before the commit", group, "_write"),
            ("after the commit", group, "after_commit"),
            ("after waking", delays, "wake"),
        ]:
            monkeypatch.setattr(module, name, self._dying(point, getattr(module, name)))

    def _dying(self, point, function):
        def wrapped(*args):
            result = function(*args)
            # Calls that did nothing (an empty claim) are no interesting place to die.
            if self.point == point and result != [] and result != 0:
                self.point, self.was_reached = "", True
                raise Killed
            return result

        return wrapped

    def kill(self, point, drain):
        """Let a worker work until it dies at the point; whether it got there."""
        self.point, self.was_reached = point, False
        with suppress(Killed):
            drain()
        self.point = ""
        restart()
        return self.was_reached


def restart():
    """Another process: it remembers nothing, and the leases of the one before are a dead one's."""
    dead = of_a_dead_process()
    Run.objects.filter(state="leased").update(lease_owner=dead)
    Message.objects.filter(state__in=Message.ON_EXPIRY).update(lease_owner=dead)
    intake._cache.clear()
    plan._cached.cache_clear()
    rate.forget()
    turn._reach = 200
    sweep.release_leases_of_the_dead()


def build(steps, channel):
    """The connector of a flow, published."""
    connector = ConnectorFactory()
    for position, step in enumerate(steps):
        row = StepFactory(connector=connector, position=position)
        for place, item in enumerate(step):
            common = {"step": row, "position": place, "label": item.label}
            make(item, common, connector, channel)
    publish(connector)
    connector.refresh_from_db()
    return connector


def make(item, common, connector, channel):
    match item.kind:
        case "mark":
            recipients = [{"to": PHONE}]
            SendMessage.objects.create(
                **common, channel=channel, recipients=recipients, text=f"{item.label}"
            )
        case "stop":
            StopRun.objects.create(**common)
        case "filter":
            condition = {"left": "event.flags", "operator": "text:contains", "right": item.flag}
            Filter.objects.create(**common, conditions=[condition])
        case "cancel":
            then = "stop" if item.then_stop else "continue"
            action = CancelDelay.objects.create(**common, execution_type=then)
            action.targets.create(connector=connector, identifier=item.identifier)
        case "delay":
            Delay.objects.create(
                **common,
                counts_from=item.counts_from,
                direction=item.direction,
                amount=item.amount,
                unit=item.unit,
                date="{{ event.start }}",
                if_past=item.if_past,
                identifier=item.identifier,
            )


def after(pause, now):
    if isinstance(pause, int):
        return now + timedelta(minutes=pause)
    waiting = Sleeping.objects.filter(state="waiting").order_by("wake_at")
    due = waiting.values_list("wake_at", flat=True).first() or now
    return max(now, due + timedelta(seconds=int(pause)))


def history_of(pauses, connector, post, drain, clock, reaper):
    """Let it happen; the instants as they turned out."""
    instants, now = [], BEGINNING
    for pause, posted, has_worker, deaths in pauses:
        now = clock.now = after(pause, now)
        for event in posted:
            sent = {"flags": event.flags, "name": event.name, "start": event.start}
            assert post(connector, sent).status_code == 202
        lost = False
        if has_worker:
            for point in deaths:
                lost = (reaper.kill(point, drain) and point in LOST) or lost
            drain()
        instants.append(Instant(now, posted, has_worker, lost))
    return instants


@pytest.fixture
def reaper(monkeypatch):
    monkeypatch.setattr(group, "SECONDS", 60)  # all due runs in one turn, however slow the machine
    return Reaper(monkeypatch)


@pytest.mark.timeout(900)  # to find the smallest world that breaks
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=flows(), pauses=histories())
def test_each_action_runs_once_in_order_at_its_time(
    settings, clock, post, drain, reaper, steps, pauses
):
    settings.TIME_ZONE = ZONE.key
    with transaction.atomic():
        restart()
        clock.now = BEGINNING
        connector = build(steps, ChannelFactory())
        instants = history_of(pauses, connector, post, drain, clock, reaper)
        world = World(steps)
        world.live_through(instants)
        check(world)
        transaction.set_rollback(True)


def check(world):
    runs = list(Run.objects.order_by("pk"))
    assert [run.state for run in runs] == [run.state for run in world.runs]
    for run, expected in zip(runs, world.runs, strict=True):
        story = Attempt.objects.filter(run=run.pk).order_by("pk")
        assert list(story.values_list("label", "result", "at")) == expected.story
        asleep = Sleeping.objects.filter(run=run.pk, state="waiting")
        waits = [expected.wake_at] if expected.state == "waiting" else []
        assert [delay.wake_at for delay in asleep] == waits
    sent = [label for run in world.runs for label, *_ in run.story if is_mark(world, label)]
    assert sorted(Message.objects.values_list("text", flat=True)) == sorted(sent)
    assert not Run.objects.filter(state="leased").exists()


def is_mark(world, label):
    return any(item.label == label and item.kind == "mark" for item in world.items)
