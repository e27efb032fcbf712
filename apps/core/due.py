"""Rows that wake: the row itself is the queue entry.

A due row has a time to wake, a state and a lease (owner, epoch, until). A worker claims a batch
in one short transaction of its own and carries the epoch that the claim gave; whoever finds
another epoch has lost the row. What becomes of an expired lease is declared by each state, never
assumed: *again* for work that can be repeated, *unknown* for a request whose answer was lost.
"""

import os
import secrets
import socket
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from django.db import connection, models, transaction
from django.db.models.functions import Greatest

from apps.core import clock, rows

LEASE = timedelta(seconds=60)


class Due(models.Model):
    """A row that wakes.

    Subclasses name the state in which a row waits to be claimed (READY), the one that a claim
    gives it (LEASED), and for each state that holds a lease what an expired lease turns it into
    (ON_EXPIRY).
    """

    READY: ClassVar[str]
    LEASED: ClassVar[str]
    ON_EXPIRY: ClassVar[dict[str, str]]

    wake_at = models.DateTimeField(editable=False)
    lease_owner = models.CharField(max_length=120, blank=True, editable=False)
    lease_epoch = models.IntegerField(default=0, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    @classmethod
    def claim(cls, candidates: str, params: list[Any], set_also: str = "") -> list[Self]:
        """Lease the rows that the SQL `candidates` selects the ids of, and return them whole.

        `set_also` is SQL for further columns, such as an attempt counter. A claim does not wait for
        the database's disk: a power cut may undo it. So on its strength alone nothing may leave the
        database; the commit that has to come first, of a turn or of a message that is being sent,
        checks whose lease it is, and makes the claim last as well.
        """
        table = connection.ops.quote_name(str(cls._meta.db_table))
        if is_postgresql():
            # ARRAY(…) makes PostgreSQL evaluate the candidates once, whatever plan it picks.
            chosen = f"= ANY(ARRAY({candidates}))"
            chosen += " AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL"
        else:
            chosen = f"IN ({candidates})"
        until = moment(clock.now() + LEASE)
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {table} SET state = %s, lease_owner = %s, lease_until = %s,"
                f" lease_epoch = lease_epoch + 1{set_also}"
                f" WHERE id {chosen} RETURNING {rows.columns(cls)}",
                [cls.LEASED, owner(), until, *params],
            )
            claimed = cursor.fetchall()
        return sorted((rows.instance(cls, row) for row in claimed), key=lambda row: row.pk)

    @classmethod
    def carry_leases(cls, by: timedelta) -> None:
        """The clock was put on (or, below nought, back) by so much: what this process holds, it
        holds as long as before. (After a step back somebody else may have cut it down already.)"""
        table: Any = cls._default_manager
        held = table.filter(state__in=list(cls.ON_EXPIRY), lease_owner=owner())
        carried = Greatest(models.F("lease_until") + by, clock.now() + LEASE)
        held.update(lease_until=carried if by < timedelta() else models.F("lease_until") + by)

    @classmethod
    def carry_waits(cls, by: timedelta) -> None:
        """The clock was put on (or, below nought, back) by so much: whatever is put off waits as
        long as before, and what was due already still is, in the same order."""
        table: Any = cls._default_manager
        before = clock.now() - max(by, timedelta())
        ahead = table.filter(state=cls.READY, wake_at__gt=before)
        ahead.update(wake_at=models.F("wake_at") + by)

    @classmethod
    def expire(cls, only_owners: list[str] | None = None) -> int:
        """Turn every expired lease (or every lease of `only_owners`) into what its state says. One
        that has expired and that somebody has locked is left for the next time: it must not hold
        up the others."""
        count = 0
        table: Any = cls._default_manager
        ran_out = only_owners is None
        also = cls.when_run_out() if ran_out else {}
        for state, becomes in cls.ON_EXPIRY.items():
            leases = table.filter(state=state)
            if ran_out:
                leases = cls._free(leases.filter(lease_until__lt=clock.now()))
            else:
                leases = leases.filter(lease_owner__in=only_owners)
            with transaction.atomic():
                count += leases.update(
                    state=becomes, lease_until=None, lease_epoch=models.F("lease_epoch") + 1, **also
                )
        return count

    @classmethod
    def when_run_out(cls) -> dict[str, Any]:
        """Columns that are set besides when a lease has run out, and nobody knows whether its
        owner lives."""
        return {}

    @classmethod
    def _free(cls, found: Any) -> Any:
        """Those of these rows that nobody has locked, by one statement's subquery."""
        if not is_postgresql():
            return found
        table: Any = cls._default_manager
        return table.filter(pk__in=found.select_for_update(skip_locked=True, no_key=True))


def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def skip_locked(table: str = "") -> str:
    """The clause that lets two claims pass each other; SQLite has one writer and needs none."""
    of = f" OF {table}" if table else ""
    return f"FOR UPDATE{of} SKIP LOCKED" if is_postgresql() else ""


def moment(value: datetime) -> Any:
    """A time as a parameter of raw SQL, in the form that the database's columns have."""
    return connection.ops.adapt_datetimefield_value(value)


def read_moment(value: Any) -> datetime:
    """A time that raw SQL gave: SQLite has texts or naive times, in UTC."""
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


# --- Who holds a lease ---------------------------------------------------------------------------


def _process_start(pid: int) -> str:
    """When a process started, in clock ticks since boot: tells a reused pid from the same one."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]  # a zombie does no more work


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read(8)
    except OSError:
        return ""


def _pid_namespace() -> str:
    """Within which process ids mean what they mean here (Linux): a container has its own."""
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return ""


_owner = ""


def owner() -> str:
    """This process as the holder of a lease: host/boot/pid namespace/pid/start/random. The host is
    for people; the random part keeps apart what all others fail to."""
    global _owner
    if not _owner:
        pid = os.getpid()
        host = socket.gethostname().replace("/", "-")[:40]
        where = f"{host}/{_boot()}/{_pid_namespace()}"
        _owner = f"{where}/{pid}/{_process_start(pid)}/{secrets.token_hex(6)}"
    return _owner


def _forget_owner() -> None:
    global _owner
    _owner = ""


os.register_at_fork(after_in_child=_forget_owner)


def dead_owners(owners: list[str]) -> list[str]:
    """Those of `owners` that were processes of this boot of this kernel, and of this process's own
    pid namespace, and are gone. Nothing can be known of others, whatever the name of their host:
    they are left to the expiry of their leases."""
    here = (_boot(), _pid_namespace())
    return [name for name in owners if all(here) and _is_gone(name, here)]


def _is_gone(name: str, here: tuple[str, str]) -> bool:
    _, *parts = name.split("/")
    if len(parts) != 5 or (parts[0], parts[1]) != here or not parts[2].isdigit():
        return False
    pid = int(parts[2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # Somebody else's. Where /proc hides those, an empty answer means nothing.
        return _process_start(pid) not in ("", parts[3])
    return _process_start(pid) != parts[3]
