"""The built-in phone: messages go to a page of this installation instead of to WhatsApp."""

from collections.abc import Iterable
from typing import ClassVar

from apps.core import clock
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage


class SandboxGateway:
    """Behaves as a gateway far away would: it commits by itself, knows nothing of our
    transaction, and shows a message twice when it is sent twice."""

    driver: ClassVar[str] = "sandbox"

    def send(self, message: Message) -> str:
        arrived = PhoneMessage.objects.create(
            channel_id=message.channel_id,
            address=message.address,
            text=message.text,
            key=message.key or "",
            arrived_at=clock.now(),
        )
        return f"sandbox-{arrived.pk}"

    def accepted(self, keys: Iterable[str]) -> dict[str, str]:
        arrived = PhoneMessage.objects.filter(key__in=list(keys)).values_list("key", "pk")
        return {key: f"sandbox-{pk}" for key, pk in arrived}
