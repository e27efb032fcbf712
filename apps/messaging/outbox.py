"""Queueing messages. A message to the outside is a row before it is a request."""

from dataclasses import dataclass
from typing import Any

from apps.core import clock, phone
from apps.crm.models import Contact
from apps.messaging import gate
from apps.messaging.addresses import canonical
from apps.messaging.models import Channel, Message


@dataclass(frozen=True)
class Queued:
    """What became of one recipient: `address` as sent to, `verdict` a code of the gate."""

    to: str
    address: str
    verdict: str
    reason: str


def queue(
    channel: Channel,
    recipients: list[str],
    text: str,
    *,
    key: str,
    contact: Contact | None = None,
    cause: str = "",
    cause_id: int | None = None,
    again: bool = False,
) -> list[Queued]:
    """Queue `text` for each recipient that the gate lets through; one row and one result each.

    Recipients that name the same address count once. `key` makes the rows unique together with
    the address, so that repeating the call writes nothing twice. A refused recipient gets a row
    too, in state *refused*, so that nobody has to wonder; an unreadable number gets none.
    `again`: an earlier try with this key failed; what it left refused is judged anew.
    """
    meant = _meant(recipients)
    verdicts = gate.judge((channel.pk, address) for address, _ in meant.values() if address)
    own = canonical(contact.phone) if contact and contact.phone else None
    rows, results = [], []
    for stands_for, (address, to) in meant.items():
        if not address:
            results.append(_result(to, "", gate.INVALID_NUMBER))
            continue
        verdict = verdicts[channel.pk, address]
        results.append(_result(to, address, verdict))
        rows.append(
            _message(
                verdict,
                key=f"{key}:{address}",
                channel=channel,
                contact=contact if stands_for == own else None,
                address=address,
                text=text,
                cause=cause,
                cause_id=cause_id,
            )
        )
    if again:
        keys = [row.key for row in rows]
        Message.objects.filter(key__in=keys, state=Message.State.REFUSED).delete()
    Message.objects.bulk_create(rows, ignore_conflicts=True)
    return results


def _meant(recipients: list[str]) -> dict[str, tuple[str, str]]:
    """The address as it is spelled here and what was typed, by the address that is meant;
    unreadable ones by themselves."""
    meant: dict[str, tuple[str, str]] = {}
    for to in recipients:
        address = phone.normalise(to) or ""
        meant.setdefault(canonical(address) or f"?{to.strip()}", (address, to))
    return meant


def _message(verdict: gate.Verdict, **columns: Any) -> Message:
    now = clock.now()
    return Message(
        state=Message.State.REFUSED if verdict.refused else Message.State.QUEUED,
        verdict=verdict.code,
        reason=verdict.reason,
        wake_at=now,
        created_at=now,
        settled_at=now if verdict.refused else None,
        **columns,
    )


def _result(to: str, address: str, verdict: gate.Verdict) -> Queued:
    return Queued(to, address, verdict.code, verdict.reason)
