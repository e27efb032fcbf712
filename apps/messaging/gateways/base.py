"""What a gateway is: the driver that says how one message is asked for, and what an answer means.
The requests themselves fly with all others of the process (apps.core.http.outgoing)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Protocol

from apps.core.http.messages import Request, Response
from apps.messaging.models import Message


@dataclass(frozen=True)
class Sent:
    """It was accepted; `provider_id` is the other side's name for it."""

    provider_id: str


@dataclass(frozen=True)
class Rejected:
    """It was certainly not accepted, and trying again would not help. `reason` is shown to
    people."""

    reason: str


@dataclass(frozen=True)
class Again:
    """It was certainly not accepted now; it is asked for again after `after`."""

    after: timedelta
    reason: str


Verdict = Sent | Rejected | Again


class Gateway(Protocol):
    driver: ClassVar[str]
    # Whether the same request twice sends one message: then a lost answer is asked for again.
    repeatable: ClassVar[bool]

    def request(self, message: Message) -> Request:
        """The request that sends the message. Raises ValueError, with a sentence for people, for a
        message that can't be asked for."""

    def read(self, answer: Response) -> Verdict:
        """What an answer says. Anything raised means that nobody knows: the message ends as
        *outcome unknown*."""

    def accepted(self, keys: Iterable[str]) -> dict[str, str]:
        """Which of these outbox keys the other side is known to have: key → provider id.

        Settles messages whose answer was lost. Empty where the other side can't be asked.
        """
