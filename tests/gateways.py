"""A gateway that speaks HTTP to a server of the test: what a provider far away would be."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar

from apps.core.http.messages import Request, Response
from apps.messaging.gateways import GATEWAYS
from apps.messaging.gateways.base import Again, Rejected, Sent, Verdict
from apps.messaging.models import Message


class HttpGateway:
    """POST {url}/send/<channel> with {"key", "to", "text"}; 2xx accepts, 429 asks to come again
    after Retry-After seconds, any other 4xx refuses, and what 5xx means nobody knows."""

    driver: ClassVar[str] = "http-test"
    repeatable = False

    def __init__(self, url: str, deadline: float = 60.0) -> None:
        self.url, self.deadline = url, deadline

    def request(self, message: Message) -> Request:
        told = {"key": message.key, "to": message.address, "text": message.text}
        return Request(
            "POST",
            f"{self.url}/send/{message.channel_id}",
            (("Content-Type", "application/json"),),
            json.dumps(told).encode(),
            deadline=self.deadline,
        )

    def read(self, answer: Response) -> Verdict:
        if answer.status < 300:
            return Sent(json.loads(answer.body)["id"])
        if answer.status == 429:
            after = int(answer.header("Retry-After") or 1)
            return Again(timedelta(seconds=after), "The provider asked to slow down.")
        if answer.status < 500:
            return Rejected(answer.body.decode())
        raise RuntimeError(f"HTTP {answer.status}")

    def accepted(self, keys: Iterable[str]) -> dict[str, str]:
        return {}


@contextmanager
def http_gateway(url: str, deadline: float = 60.0) -> Iterator[HttpGateway]:
    """The driver is known while this lasts."""
    made = GATEWAYS[HttpGateway.driver] = HttpGateway(url, deadline)
    try:
        yield made
    finally:
        del GATEWAYS[HttpGateway.driver]
