"""Settling by hand: a person found out what became of a message whose answer was lost."""

from collections.abc import Iterable

from apps.core import clock
from apps.messaging.models import Message


def settle_by_hand(message_ids: Iterable[int], sent: bool, who: str) -> int:
    """Mark those of the messages whose outcome is unknown as sent or as not sent; returns how
    many. Nothing is sent, and no other state is touched."""
    unknown = Message.objects.filter(pk__in=list(message_ids), state=Message.State.UNKNOWN)
    return unknown.update(
        state=Message.State.SENT if sent else Message.State.FAILED,
        reason=f"Settled by {who}"[:300],
        settled_at=clock.now(),
    )
