"""Opt-out lists and the blacklist. Both hold addresses by channel, not people: an entry needs no
contact and outlives it. Plain functions that write rows and nothing else; each may be repeated."""

from collections.abc import Collection, Iterable
from itertools import count
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F

from apps.core import clock, phone, rows
from apps.core.due import moment
from apps.crm.models import Contact
from apps.crm.services import is_email
from apps.messaging.addresses import canonical, spelled
from apps.messaging.models import Application, BlacklistEntry, Channel, OptOut, OptOutList

SYSTEM_LIST = "All automated messages"
# Rows of one statement: SQLite takes 32,766 values in one.
_SLICE = 1_000


class BadAddress(ValueError):
    """There is no address to put on a list; the message is a sentence that says why."""


class Entry(NamedTuple):
    """An address in its canonical form, on one channel."""

    channel_id: int
    address: str


class Listed(NamedTuple):
    """An entry on one opt-out list."""

    list_id: int
    channel_id: int
    address: str

    @property
    def entry(self) -> Entry:
        return Entry(self.channel_id, self.address)


# --- addresses ----------------------------------------------------------------------------------


def read_address(raw: str, channel: Channel) -> str | None:
    """`raw` as the lists of a channel spell it, in its canonical form (messaging.addresses); None
    when it is no address of such a channel."""
    if channel.application == Application.EMAIL:
        address: str | None = raw.strip() if is_email(raw.strip()) else None
    else:
        address = phone.normalise(raw)
    return canonical(address) if address else None


def addresses_of(contact: Contact, channel: Channel | None) -> list[str]:
    """What the contact is reached by on a channel, as the lists spell it; without a channel, on
    any."""
    if channel is None:
        found = [contact.phone, contact.email]
    else:
        found = [contact.email if channel.application == Application.EMAIL else contact.phone]
    return [canonical(address) for address in found if address]


def entries_of(contact: Contact, channels: Collection[Channel]) -> list[Entry]:
    """Where the contact is reached on these channels. Raises BadAddress when it is on none."""
    found = [Entry(c.pk, address) for c in channels for address in addresses_of(contact, c)]
    if not found:
        raise BadAddress(f"The contact has no {_what(channels)}, so no list was changed.")
    return found


def entries_at(raw: str, channels: Collection[Channel]) -> list[Entry]:
    """What was typed, on each of these channels that takes such an address. Raises BadAddress."""
    read = [(c.pk, read_address(raw, c)) for c in channels]
    found = [Entry(channel_id, address) for channel_id, address in read if address]
    if found:
        return found
    if not raw.strip():
        raise BadAddress("The number or email address is empty, so no list was changed.")
    what = _what(channels)
    hint = ": it needs the country code" if what == _NUMBER else ""
    raise BadAddress(f'"{raw.strip()[:60]}" is not a valid {what}{hint}.')


_NUMBER, _EMAIL = "mobile number", "email address"


def _what(channels: Collection[Channel]) -> str:
    """What people are reached by on these channels."""
    sorts = {_EMAIL if c.application == Application.EMAIL else _NUMBER for c in channels}
    return sorts.pop() if len(sorts) == 1 else f"{_NUMBER} or {_EMAIL}"


# --- asking -------------------------------------------------------------------------------------


def is_opted_out(addresses: list[str], channel: Channel | None) -> bool:
    """Whether one of them is on the system's opt-out list; without a channel, of any."""
    listed = OptOut.objects.filter(list__is_system=True, address__in=spelled(addresses))
    return listed.filter(**_of(channel)).exists()


def is_blacklisted(addresses: list[str], channel: Channel | None) -> bool:
    """Whether one of them is on the blacklist of the channel; without a channel, of any."""
    return BlacklistEntry.objects.filter(address__in=spelled(addresses), **_of(channel)).exists()


def _of(channel: Channel | None) -> dict[str, Any]:
    return {} if channel is None else {"channel": channel}


def drop_inbound(channel: Channel, raw_address: str) -> bool:
    """Whether what came in from an address is to be dropped: it is on the channel's blacklist.
    It is counted there, and nothing else is kept of it. Every way in asks here first, before a
    contact is made."""
    address = read_address(raw_address, channel) or raw_address
    entry = BlacklistEntry.objects.filter(channel=channel, address__in=spelled([address]))
    return bool(entry.update(dropped=F("dropped") + 1))


# --- changing -----------------------------------------------------------------------------------


def system_list() -> OptOutList:
    """The list that stops all automated messages; made where somebody emptied the database."""
    system = OptOutList.objects.filter(is_system=True)
    names = (f"{SYSTEM_LIST} {number}" if number > 1 else SYSTEM_LIST for number in count(1))
    while (found := system.first()) is None:
        rows.insert_unless_taken(OptOutList(name=next(names), is_system=True))
    return found


def add_to_optout(
    lists: Collection[OptOutList],
    entries: Collection[Entry],
    cause: str = "",
    cause_id: int | None = None,
) -> set[Listed]:
    """Put the entries on each of the lists; returns what was not there yet."""
    wanted = [Listed(one.pk, *entry) for one in lists for entry in entries]
    return {Listed(*key) for key in _add(OptOut, Listed._fields, wanted, cause, cause_id)}


def remove_from_optout(lists: Collection[OptOutList], entries: Collection[Entry]) -> set[Listed]:
    """Take the entries off each of the lists; returns what was there."""
    wanted = [Listed(one.pk, *entry) for one in lists for entry in entries]
    return {Listed(*key) for key in _remove(OptOut, Listed._fields, wanted)}


def add_to_blacklist(
    entries: Collection[Entry], cause: str = "", cause_id: int | None = None
) -> set[Entry]:
    """Block the entries both ways; returns those that were not blocked yet. What waits to be sent
    to them is refused when its turn comes."""
    return {Entry(*key) for key in _add(BlacklistEntry, Entry._fields, entries, cause, cause_id)}


def remove_from_blacklist(entries: Collection[Entry]) -> set[Entry]:
    """Unblock the entries; returns those that were blocked."""
    return {Entry(*key) for key in _remove(BlacklistEntry, Entry._fields, entries)}


_Model = type[OptOut | BlacklistEntry]
_Keys = Iterable[tuple[Any, ...]]


def _add(
    model: _Model, names: tuple[str, ...], keys: _Keys, cause: str, cause_id: int | None
) -> list[tuple[Any, ...]]:
    """Add rows under `keys`, the values of the columns `names`, of which the last is an address;
    returns the keys of those that there were not."""
    marks = ", ".join(["%s"] * (len(names) + 3))
    why = (cause, cause_id, moment(clock.now()))
    added = []
    for part in _slices(keys):
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {model._meta.db_table}"
                f" ({', '.join(names)}, cause, cause_id, created_at)"
                f" VALUES {', '.join([f'({marks})'] * len(part))}"
                f" ON CONFLICT DO NOTHING RETURNING {', '.join(names)}",
                [value for key in part for value in (*key, *why)],
            )
            added += cursor.fetchall()
    return added


def _remove(model: _Model, names: tuple[str, ...], keys: _Keys) -> list[tuple[Any, ...]]:
    """Remove rows under `keys` in whatever spelling; returns the keys of those that there were."""
    marks = f"({', '.join(['%s'] * len(names))})"
    removed = []
    for part in _slices((*key, form) for *key, address in keys for form in spelled([address])):
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {model._meta.db_table} WHERE ({', '.join(names)})"
                f" IN (VALUES {', '.join([marks] * len(part))}) RETURNING {', '.join(names)}",
                [value for key in part for value in key],
            )
            removed += [(*key, canonical(address)) for *key, address in cursor.fetchall()]
    return removed


def _slices(keys: _Keys) -> Iterable[list[tuple[Any, ...]]]:
    """Each key once, always in the same order: two that write the same rows don't cross."""
    ordered = sorted(set(keys))
    for start in range(0, len(ordered), _SLICE):
        yield ordered[start : start + _SLICE]
