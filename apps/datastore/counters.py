"""Reading and changing counters: the only place that knows when a value has been reset.

Automatic resets are rows that nobody writes: a value that was last changed before the present
period began, or in an earlier round, reads as the start, and the next change begins there."""

from collections.abc import Collection
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from apps.core import clock
from apps.core.due import is_postgresql, moment
from apps.crm.models import Contact
from apps.crm.services import timezones, written_to
from apps.datastore.models import Counter, CounterValue
from apps.datastore.models.counters import LARGEST
from apps.datastore.periods import Period, period_of


class BadAmount(ValueError):
    """It is no amount that can be counted; the message is a sentence that says why."""


def read_amount(text: str) -> int:
    """A whole number such as 5, -3 or 12.0. Raises BadAmount."""
    typed = text.strip()
    if not typed:
        raise BadAmount("The amount is empty, so the counter was left as it is.")
    try:
        if not typed.isascii() or "_" in typed:
            raise InvalidOperation
        number = Decimal(typed)
        whole = number.is_finite() and number == number.to_integral_value()
    except InvalidOperation:
        whole = False
    if not whole:
        raise BadAmount(f'"{typed[:60]}" is not a whole number.')
    if abs(number) > LARGEST:
        raise BadAmount(f'"{typed[:60]}" is more than a counter can hold ({LARGEST:,}).')
    return int(number)


# --- reading ------------------------------------------------------------------------------------


def current(counter: Counter, contact: Contact | None = None) -> int:
    """Where the counter stands now; one query. `contact` is whose value it is, for a counter that
    has one for each contact."""
    owner = _owner(counter, contact)
    kept = CounterValue.objects.filter(counter=counter, contact=owner).first()
    return present(counter, kept)


def present(counter: Counter, kept: CounterValue | None) -> int:
    """What a kept value counts for now; without one, or after a reset, it is the start."""
    if kept is None or kept.round < counter.round:
        return counter.starts
    period = present_period(counter)
    return counter.starts if period and kept.changed_at < period.start else kept.value


def present_period(counter: Counter) -> Period | None:
    """From the latest automatic reset to the next one; None when there are none."""
    if not counter.reset_unit:
        return None
    zone = zone_of(counter)
    return period_of(clock.now(), counter.reset_unit, counter.reset_every, zone)


def zone_of(counter: Counter) -> ZoneInfo:
    """By whose clock it is reset; the account's where its own timezone is unknown."""
    known = counter.timezone in timezones()
    return ZoneInfo(counter.timezone if known else timezone.get_default_timezone_name())


def values_by_key(keys: Collection[str] | None, contact: Contact | None) -> dict[str, int]:
    """Where the counters of these keys (None: of all) stand, in two queries; of those that have a
    value for each contact, only if there is a contact."""
    named = Counter.objects.all() if keys is None else Counter.objects.filter(key__in=keys)
    counters = list(named)
    mine = Q(contact__isnull=True)
    if contact is not None:
        mine |= Q(contact=contact)
    kept = {
        (row.counter_id, row.contact_id): row
        for row in CounterValue.objects.filter(mine, counter__in=counters)
    }
    found = {}
    for counter in counters:
        if contact is not None or not counter.is_per_contact:
            owner = contact.pk if contact is not None and counter.is_per_contact else None
            found[counter.key] = present(counter, kept.get((counter.pk, owner)))
    return found


# --- changing -----------------------------------------------------------------------------------


def add(counter: Counter, amount: int, contact: Contact | None = None) -> int:
    """Count `amount`, which may be negative; returns the new value. Above the maximum it stays at
    the maximum; once there, a counter that resets begins at the start before it counts."""
    again = "(%(again)s AND kept.value >= %(maximum)s)"
    base = (
        "CASE WHEN kept.round < excluded.round OR kept.changed_at < %(since)s"
        f" OR {again} THEN %(starts)s ELSE kept.value END"
    )
    least, greatest = _least_and_greatest()
    bounded = f"{least}(%(top)s, {greatest}(%(bottom)s, {base} + %(amount)s))"
    return _write(counter, contact, counter.starts + amount, bounded, amount=amount)


def set_to(counter: Counter, amount: int, contact: Contact | None = None) -> int:
    """Make `amount` the value, at most the maximum; returns it. It triggers no reset."""
    return _write(counter, contact, amount, "excluded.value")


def reset(counter: Counter, contact: Contact | None = None) -> bool:
    """Back to the start; False when nothing had been counted."""
    owner = _owner(counter, contact)
    clause = "contact_id IS NULL" if owner is None else "contact_id = %s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM datastore_countervalue WHERE counter_id = %s AND {clause}",
            [counter.pk] if owner is None else [counter.pk, owner],
        )
        return bool(cursor.rowcount)


def forget(value_ids: Collection[int]) -> int:
    """Set single values back to their counters' starts; returns how many there were."""
    return CounterValue.objects.filter(pk__in=value_ids).delete()[0]


def reset_all(counter: Counter) -> None:
    """Back to the start, for every contact: one column, however many values there are."""
    Counter.objects.filter(pk=counter.pk).update(round=F("round") + 1)


def _write(counter: Counter, contact: Contact | None, first: int, then: str, **more: Any) -> int:
    """One statement: `first` where there is no value yet, else what `then` comes to in SQL. Two
    workers at once lose nothing, since neither reads before it writes."""
    target = "(counter_id, contact_id) WHERE contact_id IS NOT NULL"
    owner = written_to().replace("%s", "%(contact)s")
    if not counter.is_per_contact:
        target, owner = "(counter_id) WHERE contact_id IS NULL", "%(contact)s"
    top = LARGEST if counter.maximum is None else counter.maximum
    period = present_period(counter)
    greatest = _least_and_greatest()[1]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO datastore_countervalue AS kept"
            " (counter_id, contact_id, value, round, changed_at)"
            f" VALUES (%(counter)s, {owner}, %(first)s, %(round)s, %(now)s)"
            f" ON CONFLICT {target} DO UPDATE SET value = {then},"
            f" round = {greatest}(kept.round, excluded.round),"
            # Where two hosts' clocks differ, a new period begins once all the same.
            f" changed_at = {greatest}(kept.changed_at, excluded.changed_at) RETURNING value",
            {
                "counter": counter.pk,
                "contact": _owner(counter, contact),
                "first": min(top, max(-LARGEST, first)),
                "round": counter.round,
                "now": moment(clock.now()),
                "since": moment(period.start) if period else None,
                "starts": counter.starts,
                "maximum": counter.maximum,
                "again": counter.reset_at_maximum,
                "top": top,
                "bottom": -LARGEST,
                **more,
            },
        )
        return int(cursor.fetchone()[0])


def _owner(counter: Counter, contact: Contact | None) -> int | None:
    """Whose value it is. Raises ValueError when a counter of contacts is given none."""
    if not counter.is_per_contact:
        return None
    if contact is None:
        raise ValueError(f'The counter "{counter}" counts for each contact: say for which one.')
    return contact.pk


def _least_and_greatest() -> tuple[str, str]:
    return ("LEAST", "GREATEST") if is_postgresql() else ("min", "max")
