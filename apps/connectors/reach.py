"""What an action reaches beyond the flow that it stands in: who imports a connector sees it before
accepting it (reviewing.py)."""

from dataclasses import dataclass
from typing import Any

URL, RECIPIENT, CHANNEL = "URL", "Recipient", "Channel"
CREDENTIAL, CONNECTOR = "Credential", "Connector"


@dataclass(frozen=True)
class Reach:
    """`what` is one of the words above; `text` is as it is written, attributes and all, but without
    secrets; `note` is what it is reached for, where that isn't plain."""

    what: str
    text: str
    note: str = ""

    @property
    def is_written(self) -> bool:
        """Whether `text` is what somebody wrote into the flow, and no name of something here."""
        return self.what in (URL, RECIPIENT)


def referred(what: str, ref: dict[str, Any] | None, note: str = "") -> list[Reach]:
    """What a frozen reference leads to; nothing where it is open."""
    return [Reach(what, ref["name"], note)] if ref else []
