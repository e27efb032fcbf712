"""The delivery lane: claimed outbox rows are judged again, marked *sending*, handed to their
gateway, and settled. Every arrow is a commit of its own, so that a kill between any two of them
leaves a row that says the truth."""

import logging
from datetime import timedelta

from django.db import connection
from django.db.models import F

from apps.core import clock
from apps.core.due import LEASE, moment, owner, skip_locked
from apps.messaging import gate
from apps.messaging.gateways import gateway
from apps.messaging.gateways.base import Rejected
from apps.messaging.models import Channel, Message

logger = logging.getLogger(__name__)

State = Message.State
# A kill leaves at most this many messages as *outcome unknown* per worker.
BATCH = 20
# How long an earlier message to the same address may hold back the next one.
HOLD = timedelta(minutes=2)


def turn() -> int:
    """One batch through the lane; returns how many messages were taken."""
    taken = claim()
    if taken:
        drivers = dict(Channel.objects.values_list("pk", "driver"))
        for message in mark_sending(judge_again(taken)):
            hand_over(message, drivers[message.channel_id])
    return len(taken)


def claim(limit: int = BATCH) -> list[Message]:
    """Lease the next messages: at most one per (channel, address) in flight, in id order."""
    return Message.claim(
        "SELECT m.id FROM messaging_message m"
        " JOIN messaging_channel c ON c.id = m.channel_id AND c.enabled"
        " WHERE m.state = 'queued' AND m.wake_at <= %s AND NOT EXISTS ("
        "  SELECT 1 FROM messaging_message earlier"
        "  WHERE earlier.channel_id = m.channel_id AND earlier.address = m.address"
        "  AND earlier.id < m.id AND earlier.state IN ('queued', 'leased', 'sending')"
        "  AND NOT (earlier.state = 'queued' AND earlier.wake_at > %s))"
        f" ORDER BY m.wake_at, m.id LIMIT %s {skip_locked('m')}",
        [moment(clock.now()), moment(clock.now() + HOLD), limit],
    )


def judge_again(messages: list[Message]) -> list[Message]:
    """Settle those that the gate refuses by now; returns the others."""
    verdicts = gate.judge((m.channel_id, m.address) for m in messages)
    cleared = []
    for message in messages:
        verdict = verdicts[message.channel_id, message.address]
        if verdict.refused:
            settle(message, State.REFUSED, verdict=verdict.code, reason=verdict.reason)
        else:
            cleared.append(message)
    return cleared


def mark_sending(messages: list[Message]) -> list[Message]:
    """Commit that the requests are about to be made; returns those whose lease still holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_message SET state = 'sending', lease_until = %s"
            " WHERE state = 'leased' AND lease_owner = %s"
            f" AND id IN ({', '.join(['%s'] * len(messages)) or 'NULL'}) RETURNING id",
            [moment(clock.now() + LEASE), owner(), *(m.pk for m in messages)],
        )
        mine = {pk for (pk,) in cursor.fetchall()}
    return [m for m in messages if m.pk in mine]


def hand_over(message: Message, driver: str) -> None:
    """Make the request and settle the row with what came of it."""
    try:
        provider_id = gateway(driver).send(message)
    except Rejected as no:
        settle(message, State.FAILED, reason=str(no)[:300])
    except Exception:
        logger.exception("The answer for message %s was lost", message.pk)
        settle(message, State.UNKNOWN, reason="The answer of the gateway was lost.")
    else:
        settle(message, State.SENT, provider_id=provider_id)


def settle(message: Message, state: str, **columns: str) -> None:
    """Write the outcome, whatever became of the lease meanwhile: it is the truth."""
    open_or_unknown = (*Message.OPEN, State.UNKNOWN)
    Message.objects.filter(pk=message.pk, state__in=open_or_unknown).update(
        state=state,
        lease_until=None,
        lease_epoch=F("lease_epoch") + 1,
        settled_at=clock.now(),
        **columns,
    )


def settle_unknown() -> int:
    """Settle *unknown* messages that their gateway is found to have; returns how many."""
    settled = 0
    unknown = Message.objects.filter(state=State.UNKNOWN).exclude(key=None)
    for driver in Channel.objects.values_list("driver", flat=True).distinct():
        rows = {
            m.key: m for m in unknown.filter(channel__driver=driver).order_by("-pk")[:1000] if m.key
        }
        for key, provider_id in gateway(driver).accepted(rows).items():
            settle(
                rows[key],
                State.SENT,
                provider_id=provider_id,
                reason="Found at the gateway.",
            )
            settled += 1
    return settled
