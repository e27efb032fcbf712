"""Who is on the opt-out list and on the blacklist. Both hold addresses, not people."""

from typing import Any

from apps.crm.models import Contact
from apps.messaging.addresses import canonical, spelled
from apps.messaging.models import Application, BlacklistEntry, Channel, OptOut


def addresses_of(contact: Contact, channel: Channel | None) -> list[str]:
    """What the contact is reached by on a channel, as the lists spell it; without a channel, on
    any."""
    if channel is None:
        found = [contact.phone, contact.email]
    else:
        found = [contact.email if channel.application == Application.EMAIL else contact.phone]
    return [canonical(address) for address in found if address]


def is_opted_out(addresses: list[str], channel: Channel | None) -> bool:
    """Whether one of them is on the system's opt-out list; without a channel, of any."""
    listed = OptOut.objects.filter(list__is_system=True, address__in=spelled(addresses))
    return listed.filter(**_of(channel)).exists()


def is_blacklisted(addresses: list[str], channel: Channel | None) -> bool:
    """Whether one of them is on the blacklist of the channel; without a channel, of any."""
    return BlacklistEntry.objects.filter(address__in=spelled(addresses), **_of(channel)).exists()


def _of(channel: Channel | None) -> dict[str, Any]:
    return {} if channel is None else {"channel": channel}
