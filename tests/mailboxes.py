"""A real SMTP server on loopback that keeps what it gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mail:
    recipients: list[str]
    subject: str
    text: str


@dataclass
class Mailbox:
    port: int = 0
    mails: list[Mail] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        parsed: Any = message_from_bytes(envelope.content, policy=policy.default)
        text = parsed.get_content().replace("\r\n", "\n")
        self.mails.append(Mail(envelope.rcpt_tos, parsed["subject"], text))
        return "250 Kept"


class _AnyPort(Controller):
    """aiosmtpd looks whether it can be reached; with port 0 it would look there."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def receiving() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    controller = _AnyPort(mailbox, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        mailbox.port = controller.port
        yield mailbox
    finally:
        controller.stop()
