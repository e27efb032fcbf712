"""Long jobs: work over many rows, such as an import, done in slices by the engine's loop.

A job is a due row of a table of its own. Each slice and the job's new place in its work (its
cursor columns) are one transaction: a worker killed at any moment leaves a slice done or not
begun, and whoever takes the job on begins at its place.
"""

from datetime import timedelta
from typing import Any, ClassVar, Self, TypeVar

from django.db import connection, models
from django.db.models import Case, F, Q, Value, When

from apps.core import clock
from apps.core.cause import Caused
from apps.core.due import Due, moment, skip_locked

# Tries of one slice before the job is given up.
TRIES = 5


class JobFailed(Exception):
    """The job can't go on, and trying again would not help. The message is a sentence that says
    why; the slice that raised it is undone."""


class Again(Exception):
    """Somebody else has just written what this slice was about to write: it is done again."""


class Job(Due, Caused):
    """Work in slices. A subclass is a table, made known with @long_job, whose columns say what is
    to be done and how far it has come; and `slice`."""

    class State(models.TextChoices):
        DRAFT = "draft", "Not started"
        WAITING = "waiting", "Waiting"
        WORKING = "working", "Working"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    READY = State.WAITING
    LEASED = State.WORKING
    # What a lost worker had not committed did not happen.
    ON_EXPIRY: ClassVar[dict[str, str]] = {State.WORKING: State.WAITING}
    OPEN = (State.WAITING, State.WORKING)
    RESUMABLE = (State.FAILED, State.CANCELLED)

    state = models.CharField(max_length=10, choices=State, default=State.WAITING, editable=False)
    # How far it has come, in units of its own, and of how many; null: that is not known.
    done = models.BigIntegerField(default=0, editable=False)
    total = models.BigIntegerField(null=True, editable=False)
    # Why it failed, or what else there is to say: a sentence.
    note = models.CharField(max_length=500, blank=True, editable=False)
    # Claims without a slice done.
    tries = models.IntegerField(default=0, editable=False)
    cancel_asked = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True
        indexes = [
            models.Index(
                fields=["wake_at"],
                name="%(app_label)s_%(class)s_due",
                condition=Q(state="waiting"),
            )
        ]

    # What `prepare` gave, for `slice` to use.
    prepared: Any = None
    # Set by a slice to leave the others room, or because it can do nothing before somebody else
    # has: what it did is committed, and the job is called again after so long.
    rest: timedelta | None = None

    def prepare(self) -> Any:
        """What a slice needs and takes long to get (a file opened and read up to the cursor). Asked
        for before the slice's transaction, of a copy of the row; it writes nothing."""

    def slice(self) -> bool:
        """Do the next piece, about a second's work at the most, inside a transaction that is open
        already; set the cursor columns and `done`. True when nothing is left. Raises JobFailed for
        what is wrong with the data, Again to be called anew; anything else that is raised is taken
        for trouble that passes, and tried again. What the installation refuses (no space, a locked
        table) is waited for as long as it takes."""
        raise NotImplementedError

    def begin(self) -> None:
        """Queue the job (and save it): a worker takes it within a second."""
        self.state, self.wake_at = self.State.WAITING, clock.now()
        self.tries, self.cancel_asked, self.note, self.ended_at = 0, False, "", None
        self.save()

    @classmethod
    def cancel(cls, pk: int) -> bool:
        """Let the job end after the slice that is under way; what is done stays. False when it had
        ended already."""
        waiting = When(state=cls.State.WAITING, then=Value(cls.State.CANCELLED))
        ended = When(state=cls.State.WAITING, then=Value(clock.now()))
        return bool(
            _rows(cls)
            .filter(pk=pk, state__in=cls.OPEN)
            .update(
                cancel_asked=True,
                state=Case(waiting, default=F("state")),
                ended_at=Case(ended, default=F("ended_at")),
            )
        )

    @classmethod
    def resume(cls, pk: int) -> bool:
        """Go on with a job that was cancelled or failed, from where it stood."""
        ended = _rows(cls).filter(pk=pk, state__in=cls.RESUMABLE)
        return bool(
            ended.update(
                state=cls.State.WAITING,
                wake_at=clock.now(),
                tries=0,
                cancel_asked=False,
                note="",
                ended_at=None,
            )
        )

    @classmethod
    def claim_next(cls) -> Self | None:
        """Lease the job that has waited longest."""
        table = connection.ops.quote_name(str(cls._meta.db_table))
        claimed = cls.claim(
            f"SELECT id FROM {table} WHERE state = 'waiting' AND wake_at <= %s"
            f" ORDER BY wake_at LIMIT 1 {skip_locked()}",
            [moment(clock.now())],
            ", tries = tries + 1",
        )
        return claimed[0] if claimed else None


def _rows(cls: type[Job]) -> Any:
    return cls._default_manager


# --- all kinds of jobs ----------------------------------------------------------------------------

KINDS: list[type[Job]] = []
AnyJob = TypeVar("AnyJob", bound=type[Job])


def long_job(cls: AnyJob) -> AnyJob:
    """Class decorator: the engine's loop works on rows of this table."""
    KINDS.append(cls)
    return cls


def next_kind() -> type[Job] | None:
    """The kind whose earliest job is due and has waited longest: one read, however many kinds."""
    if not KINDS:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT kind FROM ({_earliest()}) AS earliest WHERE at <= %s ORDER BY at LIMIT 1",
            [moment(clock.now())],
        )
        found = cursor.fetchone()
    return KINDS[found[0]] if found else None


def earliest() -> str:
    """The SQL for when the first waiting job of any kind wakes."""
    return f"SELECT MIN(at) FROM ({_earliest()}) AS earliest" if KINDS else "SELECT NULL"


def _earliest() -> str:
    tables = [connection.ops.quote_name(str(kind._meta.db_table)) for kind in KINDS]
    return " UNION ALL ".join(
        f"SELECT {number} AS kind, (SELECT MIN(wake_at) FROM {table} WHERE state = 'waiting') AS at"
        for number, table in enumerate(tables)
    )
