"""The delivery lane: claimed outbox rows are judged again, marked *sending*, asked of their
gateways, and settled when the answers come. Every step is a commit of its own, so that a kill
between any two of them leaves a row that says the truth.

No gateway holds up the lane: its requests are under way beside all others of the process. What is
marked leaves in the same moment; an answer stays in hand until it is committed.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, F, QuerySet, Value, When

from apps.core import clock
from apps.core.clock import uptime
from apps.core.dialect import clean
from apps.core.due import LEASE, moment, owner, skip_locked
from apps.core.http.messages import Failure, Kind, Request, Response
from apps.core.http.outgoing import Answer, Share, outgoing
from apps.core.trouble import is_installations
from apps.messaging import gate
from apps.messaging.gateways import gateway
from apps.messaging.gateways.base import Again, Rejected, Sent, Verdict
from apps.messaging.models import Channel, Message

logger = logging.getLogger(__name__)

State = Message.State
# So many messages are judged and marked together.
BATCH = 20
# How long an earlier message to the same address may hold back the next one.
HOLD = timedelta(minutes=2)
# Seconds after a batch was marked in which its requests may leave: well under its lease.
LEAVES_WITHIN = 30.0
# A message that certainly was not accepted is asked for again: after 2 s, then twice as long each
# time up to the longest, so many times.
LONGEST_WAIT = timedelta(minutes=5)
MAX_TRIES = 12
# Whatever a provider asks for, it is asked again after a day.
LONGEST_ASKED = timedelta(days=1)
LOST = "The answer of the gateway was lost."


@dataclass(frozen=True)
class Sending:
    """A message under way, by the driver that was asked."""

    message: Message
    driver: str


def turn(claims: bool = True) -> int:
    """Settle what was answered and, with `claims`, send the next batch; returns how many messages
    were taken."""
    answered = settle_answered()
    taken = claim(min(BATCH, _share().room), crowded()) if claims and _share().room else []
    if taken:
        send(judge_again(taken))
    return answered + len(taken)


def _share() -> Share:
    return outgoing().share("sends")


def claim(limit: int = BATCH, but_not: Collection[int] = ()) -> list[Message]:
    """Lease the next messages: at most one per (channel, address) in flight, in id order; none of
    the channels `but_not`."""
    others = f" AND c.id NOT IN ({', '.join(['%s'] * len(but_not))})" if but_not else ""
    return Message.claim(
        "SELECT m.id FROM messaging_message m"
        f" JOIN messaging_channel c ON c.id = m.channel_id AND c.enabled{others}"
        " WHERE m.state = 'queued' AND m.wake_at <= %s AND NOT EXISTS ("
        "  SELECT 1 FROM messaging_message earlier"
        "  WHERE earlier.channel_id = m.channel_id AND earlier.address = m.address"
        "  AND earlier.id < m.id AND earlier.state IN ('queued', 'leased', 'sending')"
        "  AND NOT (earlier.state = 'queued' AND earlier.wake_at > %s))"
        f" ORDER BY m.wake_at, m.id LIMIT %s {skip_locked('m')}",
        [*but_not, moment(clock.now()), moment(clock.now() + HOLD), limit],
    )


def crowded() -> list[int]:
    """Channels that hold half of all lines: a slow gateway leaves room for the others."""
    held: dict[int, int] = {}
    for sending in _under_way().values():
        channel = sending.message.channel_id
        held[channel] = held.get(channel, 0) + 1
    return [channel for channel, count in held.items() if count >= _share().capacity // 2]


def judge_again(messages: list[Message]) -> list[Message]:
    """Settle those that the gate refuses by now; returns the others."""
    verdicts = gate.judge((m.channel_id, m.address) for m in messages)
    cleared = []
    for message in messages:
        verdict = verdicts[message.channel_id, message.address]
        if verdict.refused:
            refuse(message, State.REFUSED, verdict=verdict.code, reason=verdict.reason)
        else:
            cleared.append(message)
    return cleared


# --- out -----------------------------------------------------------------------------------------


def send(messages: list[Message]) -> None:
    """Ask the gateways for these claimed messages, as far as their leases still hold."""
    drivers = dict(Channel.objects.values_list("pk", "driver"))
    requests: dict[int, Request] = {}
    for message in messages:
        try:
            requests[message.pk] = gateway(drivers[message.channel_id]).request(message)
        except Exception as error:
            if is_installations(error):
                raise
            if not isinstance(error, ValueError):
                logger.exception("Message %s can't be asked for", message.pk)
            refuse(message, State.FAILED, reason=f"It can't be sent: {error}"[:300])
    began = uptime()
    longest = max((request.deadline for request in requests.values()), default=0.0)
    for message in mark_sending([m for m in messages if m.pk in requests], longest):
        _under_way()[message.pk] = Sending(message, drivers[message.channel_id])
    asked = {pk: request for pk, request in requests.items() if pk in _under_way()}
    _share().start(asked, leave_by=began + LEAVES_WITHIN)


def mark_sending(messages: list[Message], longest: float = 0.0) -> list[Message]:
    """Commit that the requests are about to be made, which take up to `longest` seconds; returns
    those whose lease still holds."""
    if not messages:
        return []
    epochs = {message.pk: message.lease_epoch for message in messages}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_message SET state = 'sending', lease_until = %s"
            " WHERE state = 'leased' AND lease_owner = %s"
            f" AND id IN ({', '.join(['%s'] * len(epochs))}) RETURNING id, lease_epoch",
            [moment(clock.now() + LEASE + timedelta(seconds=longest)), owner(), *epochs],
        )
        mine = {pk for pk, epoch in cursor.fetchall() if epoch == epochs[pk]}
    return [m for m in messages if m.pk in mine]


_mine: tuple[Share, dict[int, Sending]] | None = None


def _under_way() -> dict[int, Sending]:
    """By id, the messages that this process has asked for and not settled."""
    global _mine
    if _mine is None or _mine[0] is not _share():
        _mine = (_share(), {})
    return _mine[1]


def under_way() -> list[int]:
    """The ids of the messages that this process has asked for and not settled."""
    return list(_under_way())


# --- and back ------------------------------------------------------------------------------------


def settle_answered() -> int:
    """Write down what came of the requests that were answered; returns how many there were."""
    answers = _share().answered()
    if not answers:
        return 0
    with transaction.atomic():
        # In one order, so that two processes don't wait for each other.
        for pk in sorted(answers):
            _conclude(_under_way()[pk], answers[pk])
    for pk in answers:
        _share().over(pk)
        del _under_way()[pk]
    return len(answers)


def _conclude(sending: Sending, answer: Answer) -> None:
    message = sending.message
    verdict = _verdict(sending, answer)
    match verdict:
        case Sent():
            settle(message, State.SENT, provider_id=verdict.provider_id[:160])
        case Rejected():
            settle(message, State.FAILED, reason=verdict.reason[:300])
        case Again():
            ask_again(message, verdict)
        case None:
            settle(message, State.UNKNOWN, reason=LOST)


def _verdict(sending: Sending, answer: Answer) -> Verdict | None:
    """None: nobody knows."""
    driver = gateway(sending.driver)
    if isinstance(answer, Response):
        try:
            return driver.read(answer)
        except Exception as error:
            if is_installations(error):
                raise
            logger.exception("The answer for message %s can't be read", sending.message.pk)
            return None
    if answer.kind is Kind.REFUSED and not answer.sent:
        return Rejected(answer.reason)
    if not answer.sent or driver.repeatable:
        return Again(_own_wait(sending.message, answer), answer.reason)
    logger.warning("The answer for message %s was lost: %s", sending.message.pk, answer.reason)
    return None


def _own_wait(message: Message, answer: Failure) -> timedelta:
    if answer.kind is Kind.LATE:
        return timedelta()
    return min(timedelta(seconds=2 ** (message.tries + 1)), LONGEST_WAIT)


def ask_again(message: Message, again: Again) -> None:
    """Put a message back that certainly was not accepted, or fail it after so many tries."""
    if message.tries + 1 >= MAX_TRIES:
        reason = f"Not accepted in {MAX_TRIES} tries: {again.reason}"
        settle(message, State.FAILED, reason=reason[:300])
        return
    mine = Message.objects.filter(pk=message.pk, lease_owner=message.lease_owner)
    ours = mine.filter(state=State.SENDING, lease_epoch=message.lease_epoch)
    if ours.update(
        state=State.QUEUED,
        tries=F("tries") + 1,
        wake_at=clock.now() + min(again.after, LONGEST_ASKED),
        reason=clean(again.reason)[:300],
        lease_until=None,
        lease_epoch=F("lease_epoch") + 1,
    ):
        return
    # Its lease ran out meanwhile, so it was called unknown; but we know. (It is not queued again:
    # who waited for its end, to delete a contact, has gone on.)
    taken = mine.filter(state=State.UNKNOWN, lease_epoch=message.lease_epoch + 1)
    _settle(taken, State.FAILED, {"reason": f"It was not accepted: {again.reason}"[:300]})


def refuse(message: Message, state: str, **columns: Any) -> None:
    """End a claimed message that is not to be asked for, if it is still ours: somebody else, who
    has it by now, may be sending it."""
    lease = {"lease_owner": message.lease_owner, "lease_epoch": message.lease_epoch}
    _settle(Message.objects.filter(pk=message.pk, state=State.LEASED, **lease), state, columns)


def settle(message: Message, state: str, **columns: Any) -> None:
    """Write the outcome, whatever became of the lease meanwhile: it is the truth."""
    open_or_unknown = (*Message.OPEN, State.UNKNOWN)
    found = Message.objects.filter(pk=message.pk, state__in=open_or_unknown)
    _settle(found, state, columns)


def _settle(found: QuerySet[Message], state: str, columns: dict[str, str]) -> None:
    """A row that was erased (messaging/erasing.py) keeps only what became of it."""
    told = {
        name: Case(When(address="", then=F(name)), default=Value(clean(text)))
        for name, text in columns.items()
    }
    found.update(
        state=state,
        lease_until=None,
        lease_epoch=F("lease_epoch") + 1,
        settled_at=clock.now(),
        **told,
    )


# --- after a loss --------------------------------------------------------------------------------


@transaction.atomic
def recover() -> tuple[int, int]:
    """Queue again what this process holds and has not asked for: a claim or a mark whose commit
    was done, while the word of it was lost. Returns how many, and how many others were left for
    now, since somebody had them locked."""
    mine = Message.objects.filter(lease_owner=owner(), state__in=[State.LEASED, State.SENDING])
    strays = mine.exclude(pk__in=under_way())
    found = list(strays.values_list("pk", flat=True))
    if not found:
        return 0, 0
    free = mine.filter(pk__in=found).select_for_update(skip_locked=True, no_key=True)
    count = mine.filter(pk__in=list(free.order_by("pk").values_list("pk", flat=True))).update(
        state=State.QUEUED, lease_until=None, lease_epoch=F("lease_epoch") + 1
    )
    return count, len(found) - count


def let_go() -> int:
    """Settle what was answered, and give up the rest at once, on purpose: nobody will wait for it.
    Returns how many were given up."""
    settle_answered()
    recover()
    given_up = Message.objects.filter(pk__in=under_way(), state=State.SENDING, lease_owner=owner())
    count = given_up.update(
        state=State.UNKNOWN,
        reason="The worker was stopped before the gateway answered.",
        lease_until=None,
        lease_epoch=F("lease_epoch") + 1,
        settled_at=clock.now(),
    )
    for pk in under_way():
        _share().over(pk)
        del _under_way()[pk]
    return count


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
