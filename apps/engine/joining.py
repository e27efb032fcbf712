"""The lines (order.py) of two contacts that are merged become one: open runs of the one that goes
join the line of the one that stays, in the transaction of the merge. Those that have begun come
first there, then the earlier ones, as in any line. They stay there when the merge is undone.

Turns lock runs first and contacts then, so a merge does, too. A run enters a line, or comes back
into one, with a lock on the contact (order.stand): so none can enter the old line from when both
contacts are locked.
"""

from typing import Any

from django.db import connection

from apps.core import rows
from apps.core.due import is_postgresql
from apps.core.patience import Collided
from apps.crm.merging import merged_too
from apps.crm.models import Contact
from apps.engine.models import Run
from apps.engine.order import OPEN


def hold(loser_id: int) -> None:
    """Wait for the turns that are at work on the line, and keep others from it."""
    _in_line(loser_id, "FOR NO KEY UPDATE")


def give(loser: Contact, survivor: Contact) -> list[int]:
    """Returns the ids of the runs that joined the survivor's line. Raises Collided when a turn is
    at work on a run that has just entered the old one: waiting for it here could deadlock."""
    held = _in_line(loser.pk, "FOR NO KEY UPDATE SKIP LOCKED")
    if set(_in_line(loser.pk)) - set(held):
        raise Collided
    Run.objects.filter(pk__in=held).update(line=survivor.pk)
    return held


def take_back(given: Any, loser_id: int, survivor_id: int) -> list[str]:
    """Nothing: those runs were in order with the survivor's, and one may wait for another."""
    return []


merged_too("lines", give, take_back, hold)


def _in_line(contact_id: int, lock: str = "") -> list[int]:
    """The open runs in the line of this contact, of all connectors, in the order of their ids."""
    connectors = _connectors_with_lines()
    if not connectors:
        return []
    which, given = rows.among("connector_id", connectors)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM engine_run WHERE {which} AND line = %s AND {OPEN} ORDER BY id"
            f" {lock if is_postgresql() else ''}",
            [given, contact_id],
        )
        return [pk for (pk,) in cursor.fetchall()]


def _connectors_with_lines() -> list[int]:
    """Those that have open runs in any line: one probe of an index for each."""
    first = f"SELECT min(connector_id) FROM engine_run WHERE line IS NOT NULL AND {OPEN}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE lane(connector) AS ({first} UNION ALL"
            f" SELECT ({first} AND connector_id > lane.connector) FROM lane"
            " WHERE lane.connector IS NOT NULL)"
            " SELECT connector FROM lane WHERE connector IS NOT NULL"
        )
        return [connector for (connector,) in cursor.fetchall()]
