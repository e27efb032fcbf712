"""What becomes of a deleted contact's messages: waiting ones are not sent any more and, when the
history goes too, nothing that was written or said stays.

One that is being sent is left alone until its worker has settled it, or its lease has run out: only
then is known where it arrived.
"""

from django.db.models import F

from apps.core import clock
from apps.crm.erasing import Leaving, NotYet, at_once, eraser
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage

State = Message.State


@at_once
def cancel_waiting(leaving: Leaving) -> int:
    """One that is being sent this very moment is not held back."""
    waiting = Message.objects.filter(
        contact__in=leaving.ids, state__in=[State.QUEUED, State.LEASED]
    )
    return waiting.update(
        state=State.CANCELLED,
        reason="The contact was deleted.",
        settled_at=clock.now(),
        lease_until=None,
        lease_epoch=F("lease_epoch") + 1,
    )


@eraser
def erase_messages(leaving: Leaving, limit: int) -> int:
    """The rows stay, for the figures, without anything that tells of the person."""
    # A run in hand may have queued one since, or a gateway have asked to come again.
    count = cancel_waiting(leaving)
    mine = Message.objects.filter(contact__in=leaving.ids)
    if leaving.with_history:
        count += _empty(dict(mine.exclude(state__in=Message.OPEN).values_list("pk", "key")[:limit]))
    if not count and mine.filter(state__in=Message.OPEN).exists():
        raise NotYet
    return count


def _empty(keys: dict[int, str | None]) -> int:
    """Empty these messages, given as id → key; that an address is empty tells that it was done."""
    arrived = [key for key in keys.values() if key]
    PhoneMessage.objects.filter(key__in=arrived).delete()
    # The key names the address.
    Message.objects.filter(pk__in=keys).update(
        text="", address="", key=None, reason="Erased.", provider_id="", contact=None
    )
    return len(keys)
