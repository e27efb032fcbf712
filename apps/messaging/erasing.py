"""What becomes of a deleted contact's messages: waiting ones are not sent any more and, when the
history goes too, nothing that was written or said stays."""

from django.db.models import F

from apps.core import clock
from apps.crm.erasing import Leaving, at_once, eraser
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage

State = Message.State


@at_once
def cancel_waiting(leaving: Leaving) -> None:
    """One that is being sent this very moment is not held back."""
    waiting = Message.objects.filter(
        contact__in=leaving.ids, state__in=[State.QUEUED, State.LEASED]
    )
    waiting.update(
        state=State.CANCELLED,
        reason="The contact was deleted.",
        settled_at=clock.now(),
        lease_until=None,
        lease_epoch=F("lease_epoch") + 1,
    )


@eraser
def erase_messages(leaving: Leaving, limit: int) -> int:
    """The rows stay, for the figures, without anything that tells of the person."""
    if not leaving.with_history:
        return 0
    found = Message.objects.filter(contact__in=leaving.ids).values_list("pk", "key")
    chosen = dict(found[:limit])
    keys = [key for key in chosen.values() if key]
    PhoneMessage.objects.filter(key__in=keys).delete()
    # The key names the address.
    Message.objects.filter(pk__in=chosen).update(
        text="", address="", key=None, reason="Erased.", provider_id="", contact=None
    )
    return len(chosen)
