"""What a gateway is: the driver that hands one message to the outside."""

from collections.abc import Iterable
from typing import ClassVar, Protocol

from apps.messaging.models import Message


class Rejected(Exception):
    """The gateway said no; the message was certainly not sent. The text is shown to people."""


class Gateway(Protocol):
    driver: ClassVar[str]

    def send(self, message: Message) -> str:
        """Hand the message over once and return the provider's id for it.

        Raises Rejected when it was certainly not accepted. Any other exception means that
        nobody knows: the message ends as *outcome unknown*.
        """

    def accepted(self, keys: Iterable[str]) -> dict[str, str]:
        """Which of these outbox keys the other side is known to have: key → provider id.

        Settles messages whose answer was lost. Empty where the other side can't be asked.
        """
