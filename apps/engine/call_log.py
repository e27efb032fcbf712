"""The log of outside calls: the newest of each action are kept, and those of unknown outcome."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from apps.core import clock
from apps.engine.limits import WINDOW
from apps.engine.models import Call

# Calls of an action that are shown, and kept (product.md, section 18).
KEPT = 20
SLICE = 5_000
SETTLED = (Call.State.ANSWERED, Call.State.FAILED)


def newest(action_uid: UUID) -> list[Call]:
    """The last KEPT calls of an action, newest first; those that are open or *unknown* besides."""
    calls = Call.objects.filter(action_uid=action_uid).order_by("-at", "-pk")
    open_ones = calls.exclude(state__in=SETTLED)[:KEPT]
    settled = calls.filter(state__in=SETTLED)[:KEPT]
    return sorted([*open_ones, *settled], key=lambda call: call.at, reverse=True)


def prune() -> int:
    """Drop older calls (a Django-Q task of every minute); returns how many. Those of the last
    minutes stay in any case: the limit of calls is counted by them."""
    before = clock.now() - 2 * WINDOW
    old = Call.objects.filter(state__in=SETTLED, at__lt=before).values("action_uid")
    crowded = old.annotate(count=Count("pk")).filter(count__gt=KEPT).order_by()
    return sum(_prune(uid, before) for uid in crowded.values_list("action_uid", flat=True))


def _prune(action_uid: UUID, before: datetime) -> int:
    settled: QuerySet[Any] = Call.objects.filter(action_uid=action_uid, state__in=SETTLED)
    oldest_kept = settled.order_by("-at").values_list("at", flat=True)[KEPT - 1 : KEPT].first()
    if oldest_kept is None:
        return 0
    surplus = settled.filter(at__lt=min(oldest_kept, before)).order_by()
    dropped = 0
    while count := _delete(surplus):
        dropped += count
    return dropped


def _delete(calls: QuerySet[Any]) -> int:
    """A slice at a time, so that no transaction is long."""
    ids = list(calls.values_list("pk", flat=True)[:SLICE])
    return Call.objects.filter(pk__in=ids).delete()[0] if ids else 0
