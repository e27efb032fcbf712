"""The one gate that every send passes (product.md 0.5): when it is queued, and again, decisively,
when it is claimed for sending. Pure reading: one query for any number of addresses."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet, Value

from apps.messaging.addresses import canonical, spelled
from apps.messaging.models import BlacklistEntry, OptOut


@dataclass(frozen=True)
class Verdict:
    """`send`, or why not. `reason` is a sentence for people."""

    code: str
    reason: str = ""

    @property
    def refused(self) -> bool:
        return self.code != "send"


SEND = Verdict("send")
INVALID_NUMBER = Verdict("invalid_number", "This is not a valid number with country code.")
BLOCKED_BLACKLIST = Verdict("blocked_blacklist", "The address is on the blacklist of the channel.")
BLOCKED_OPTOUT = Verdict("blocked_optout", "The person opted out of messages on this channel.")

# From best to worst.
_SEVERITY = [v.code for v in (SEND, BLOCKED_OPTOUT, BLOCKED_BLACKLIST, INVALID_NUMBER)]


def worst(codes: Collection[str]) -> str:
    """The worst of some verdicts' codes."""
    return max(codes, key=_SEVERITY.index)


def judge(
    targets: Iterable[tuple[int, str]], lists: Collection[int] = ()
) -> dict[tuple[int, str], Verdict]:
    """The verdict for each (channel id, normalised address) of automated messages. `lists` are
    the ids of the custom opt-out lists that the sender names; the system's always counts."""
    wanted = {(channel, address): (channel, canonical(address)) for channel, address in targets}
    if not wanted:
        return {}
    listed = {
        "channel__in": {channel for channel, _ in wanted},
        "address__in": spelled(address for _, address in wanted),
    }
    optouts = OptOut.objects.filter(Q(list__is_system=True) | Q(list__in=lists), **listed)
    blacklist = BlacklistEntry.objects.filter(**listed)
    refused: dict[tuple[int, str], Verdict] = {}
    # One query; in order of precedence, so that the blacklist overwrites what an opt-out says.
    found = _marked(optouts, 0).union(_marked(blacklist, 1)).order_by("black")
    for black, channel, address in found:
        refused[channel, canonical(address)] = BLOCKED_BLACKLIST if black else BLOCKED_OPTOUT
    return {target: refused.get(meant, SEND) for target, meant in wanted.items()}


def _marked(entries: QuerySet[Any], black: int) -> QuerySet[Any]:
    return entries.annotate(black=Value(black)).values_list("black", "channel_id", "address")
