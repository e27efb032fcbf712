"""The built-in phone: messages go to a page of this installation instead of to WhatsApp."""

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import transaction

from apps.core import clock
from apps.core.http.messages import Request, Response
from apps.core.http.outgoing import LOCAL, NotTaken, answers_locally
from apps.core.trouble import DATABASE_ERRORS, said_by
from apps.messaging.gateways.base import Sent, Verdict
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage

NAME = "sandbox-phone"


class SandboxGateway:
    """Behaves as a gateway far away would: it commits by itself, knows nothing of our
    transaction, and shows a message twice when it is sent twice."""

    driver: ClassVar[str] = "sandbox"
    repeatable: ClassVar[bool] = False

    def request(self, message: Message) -> Request:
        told = {
            "channel": message.channel_id,
            "address": message.address,
            "text": message.text,
            "key": message.key or "",
        }
        body = json.dumps(told).encode()
        return Request("POST", f"{LOCAL}://{NAME}/messages", body=body, deadline=5)

    def read(self, answer: Response) -> Verdict:
        return Sent(json.loads(answer.body)["id"])

    def accepted(self, keys: Iterable[str]) -> dict[str, str]:
        arrived = PhoneMessage.objects.filter(key__in=list(keys)).values_list("key", "pk")
        return {key: _name(pk) for key, pk in arrived}


@answers_locally(NAME)
def arrive(requests: list[Request]) -> list[Response]:
    """The phone's side: all of them stand on it, or none."""
    is_written = False
    try:
        with transaction.atomic():
            arrived = _put_down(json.loads(request.body or b"{}") for request in requests)
            is_written = True
    except DATABASE_ERRORS as error:
        if is_written:  # it may be the word of the commit that was lost
            raise
        raise NotTaken(said_by(error)) from error
    return [
        Response(201, "Created", (), json.dumps({"id": _name(m.pk)}).encode(), request.url, 0)
        for request, m in zip(requests, arrived, strict=True)
    ]


def _put_down(told: Iterable[dict[str, Any]]) -> list[PhoneMessage]:
    now = clock.now()
    return PhoneMessage.objects.bulk_create(
        PhoneMessage(
            channel_id=each["channel"],
            address=each["address"],
            text=each["text"],
            key=each["key"],
            arrived_at=now,
        )
        for each in told
    )


def _name(pk: int) -> str:
    return f"sandbox-{pk}"
