"""Connectors that are started by CRM changes."""

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.stop import StopRun
from apps.engine.models import CrmTrigger, Event
from tests.factories import published

PHONE = "+4915112345678"
BY_PHONE = {"phone": "{{ event.phone }}", "name": "{{ event.name }}"}


def listening(what, *steps, mapping=None, **narrowed):
    """A published connector that is started by changes."""
    connector = published(*(steps or [[(StopRun, {})]]), mapping=mapping)
    CrmTrigger.objects.create(connector=connector, what=what, **narrowed)
    return connector


def events(connector):
    return [event.payload for event in Event.objects.filter(connector=connector).order_by("pk")]


def tags_whom_it_maps():
    return published([(AddTag, {"new_tags": "vip"})], mapping=BY_PHONE)
