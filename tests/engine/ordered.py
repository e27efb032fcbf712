"""Connectors that keep order per contact, and what their runs did."""

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay as DelayAction
from apps.engine.models import Attempt, Delay, Run
from tests.factories import published

ANA, BEN = "+4915100000001", "+4915100000002"
TAG = (AddTag, {"new_tags": "{{ event.tag }}"})
A_DAY = (DelayAction, {"amount": 1, "unit": "days", "identifier": "{{ event.tag }}"})
MAPPING = {"phone": "{{ event.phone }}"}
NOT_ACTIONS = ("field_mapping", "in_order", "cancel", "loop_guard")


def in_order(*actions, mapping=MAPPING, **connector):
    return published(list(actions), mapping=mapping, in_order=True, **connector)


def acted():
    """The runs in the order of their actions."""
    done = Attempt.objects.exclude(kind__in=NOT_ACTIONS).exclude(result="cancelled").order_by("pk")
    return list(done.values_list("run_id", flat=True))


def states(runs):
    found = dict(Run.objects.values_list("pk", "state"))
    return [found[run.pk] for run in runs]


def held_after(run):
    delay = Delay.objects.filter(run=run.pk, state="waiting", action_uid=None).first()
    return delay and delay.label
