"""*In order per contact*: the runs of one contact go one after the other, as their events were
accepted, delays included.

`Run.line` says where a run stands: None, it keeps no order; UNKNOWN, its field mapping is still to
come; else the id of the contact that the mapping found, or of whom that one was merged into
(joining.py), whoever the run is about later. The first turn of such a run maps its contact and ends
there, so that every line can be read from the database. In later turns only the head of a line goes
on: the run that has begun, else the one that was accepted first. The others are held: asleep in a
Delay without an action, until the run before them ends. docs/adr/0008 says why it is built like
this.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.connectors.models import Revision
from apps.core import clock
from apps.core.due import is_postgresql, moment, read_moment, skip_locked
from apps.core.rows import among
from apps.crm.services import written_to
from apps.engine.bell import ring
from apps.engine.models import UNKNOWN, Attempt, Delay, Run
from apps.engine.plan import plan_of

KIND = "in_order"
# Behind a run that a turn is at work on, or one whose contact is still to be found, a run looks
# again this soon; in the second case later, up to LATEST, if it has been waiting for longer.
SOON, LATEST = timedelta(milliseconds=50), timedelta(seconds=1)
# A held run is woken by the end of the run before it, and by the sweep if that was missed. This is
# only the time without which nothing waits.
HELD_FOR = timedelta(hours=1)
OPEN = "state IN ('due', 'leased', 'waiting')"
# Lines in one statement; SQLite takes 500 arms of a UNION.
CHUNK = 200

# A connector and a contact.
Line = tuple[int, int]
# Sorts the runs of a line: those that have begun come first, then the earlier ones.
Place = tuple[bool, int]


def first_place(revision_id: int) -> int | None:
    """The `line` of a new run of this revision."""
    try:
        return UNKNOWN if plan_of(revision_id).in_order else None
    except Revision.DoesNotExist:
        return None  # The connector is being deleted; the run will find that out.


def _place(run: Run) -> Place:
    return (run.position < 0, run.pk)


class Lines:
    """The lines that the runs of one turn stand in, and what becomes of them in it. Costs nothing
    where no run keeps order."""

    def __init__(self) -> None:
        # The turn's own runs of each line, in their order, without those that have ended.
        self._own: dict[Line, list[int]] = {}
        # The first run of each line that is not in this turn.
        self._heads: dict[Line, Place] = {}
        # Those of them that can't change before this turn is committed.
        self._firm: set[int] = set()
        self._entered: list[Run] = []
        self._held: dict[Run, int] = {}
        self._put_off_until: list[tuple[datetime, int]] = []
        self._ended: Counter[Line] = Counter()

    # --- during the turn ------------------------------------------------------------------------

    def look(self, runs: list[Run]) -> None:
        """See who is before these runs, in two statements."""
        first: dict[Line, Place] = {}
        for run in sorted((run for run in runs if run.line), key=_place):
            first.setdefault(_line(run), _place(run))
            self._own.setdefault(_line(run), []).append(run.pk)
        if self._own:
            own = [pk for mine in self._own.values() for pk in mine]
            unmapped = {(connector, UNKNOWN) for connector, _ in self._own}
            self._heads = _heads([*self._own, *unmapped], own)
            before = [head[1] for line, head in self._heads.items() if head < first.get(line, head)]
            self._firm = _hold_still(before) if before else set()

    def enter(self, run: Run) -> bool:
        """Put a run whose field mapping is done into the line of its contact. True: it goes on in
        a later turn, which can see who is before it. Without a contact it keeps no order."""
        run.line = run.contact_id
        self._entered.append(run)
        if run.line is None:
            return False
        run.state = Run.State.DUE
        return True

    def holds(self, run: Run) -> bool:
        """Whether the run has to wait for others; it is then put to sleep, or off for a moment."""
        if not run.line:
            return False
        line = _line(run)
        own = self._own[line]
        head = self._heads.get(line)
        unmapped = self._heads.get((run.connector_id, UNKNOWN))
        if own[0] != run.pk:
            self._hold(run, own[own.index(run.pk) - 1])
        elif head is not None and head < _place(run):
            if head[1] in self._firm:
                self._hold(run, head[1])
            else:
                self._put_off(run, SOON)
        elif unmapped is not None and unmapped < _place(run):
            self._put_off(run, min(max(SOON, (clock.now() - run.started_at) / 2), LATEST))
        else:
            return False
        return True

    def leave(self, run: Run) -> None:
        """Let the next run of the line see that this one has ended, if it has."""
        if run.line and run.state not in Run.OPEN:
            own = self._own.get(_line(run), [])
            if run.pk in own:
                own.remove(run.pk)
            self._ended[_line(run)] += 1

    def _hold(self, run: Run, after: int) -> None:
        # What a queue has told it is of no use any more when it goes on.
        run.state, run.queue = Run.State.WAITING, ""
        self._held[run] = after

    def _put_off(self, run: Run, delay: timedelta) -> None:
        run.state = Run.State.DUE
        self._put_off_until.append((clock.now() + delay, run.pk))

    # --- at its end -----------------------------------------------------------------------------

    def write(self) -> None:
        """What the turn has to write for its lines, after the runs themselves."""
        if self._entered:
            stand({run.pk: run.line for run in self._entered}, "contact_id")
        if self._put_off_until:
            _wake_again([(moment(until), pk) for until, pk in self._put_off_until])
        if self._held:
            _write_held(self._held)
        if self._ended:
            # Runs that end within one turn are likely followed by such: so twice as many are
            # woken, and a line that was held wholly gets up to speed; otherwise two are.
            release({line: 2 * count for line, count in self._ended.items()})


def stand(wanted: dict[int, int | None], by: str) -> None:
    """Write the line of runs that are locked: the id of the contact in their column `by`, or of
    whom that one was merged into a moment ago (services.written_to). `wanted`: the contact's id by
    run; None: no line."""
    nowhere = [pk for pk, contact in wanted.items() if contact is None]
    if nowhere:
        Run.objects.filter(pk__in=nowhere).update(line=None)
    wanted = {pk: contact for pk, contact in wanted.items() if contact is not None}
    while wanted:
        which, given = among("id", wanted)
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE engine_run SET line = {written_to() % f'engine_run.{by}'} WHERE {which}"
                " RETURNING id, line",
                [given],
            )
            found = cursor.fetchall()
        # Whoever that one was merged into may have been merged as well.
        wanted = {pk: line for pk, line in found if line not in (None, wanted[pk])}
        by = "line"


def _wake_again(times: list[tuple[Any, int]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE engine_run SET wake_at = %s WHERE id = %s", times)


def _line(run: Run) -> Line:
    return (run.connector_id, run.line or UNKNOWN)


def _heads(lines: list[Line], own: list[int]) -> dict[Line, Place]:
    """The first open run of each of these lines that is not one of `own`: one probe of an index
    for each line, however long it is."""
    rows = ", ".join(["(%s, %s)"] * len(lines))
    mine = ", ".join(["%s"] * len(own))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column1, column2, (SELECT CASE WHEN position < 0 THEN id ELSE -id END"
            " FROM engine_run WHERE connector_id = column1 AND line = column2"
            f" AND {OPEN} AND id NOT IN ({mine}) ORDER BY position < 0, id LIMIT 1)"
            f" FROM (VALUES {rows}) AS lines",
            [*own, *(value for line in lines for value in line)],
        )
        found = cursor.fetchall()
    return {(at, line): (pk > 0, abs(pk)) for at, line, pk in found if pk is not None}


def _hold_still(run_ids: list[int]) -> set[int]:
    """Those of these runs that nobody works on now. Nobody can end them before our commit either:
    so whoever does will see the runs that are held for them."""
    if not is_postgresql():
        return set(run_ids)  # SQLite has one writer, and that is us.
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM engine_run WHERE id = ANY(%s) AND {OPEN} FOR SHARE SKIP LOCKED",
            [run_ids],
        )
        return {pk for (pk,) in cursor.fetchall()}


def _write_held(held: dict[Run, int]) -> None:
    """One Delay for each held run, which names the run before it; a run that is held again has no
    second entry in its timeline, and is held since the first time."""
    now = clock.now()
    marks = ", ".join(["%s"] * len(held))
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM engine_delay WHERE run_id IN ({marks}) AND action_uid IS NULL"
            " RETURNING run_id, created_at",
            [run.pk for run in held],
        )
        since = {pk: read_moment(at) for pk, at in cursor.fetchall()}
    Delay.objects.bulk_create(
        Delay(
            run_id=run.pk,
            connector_id=run.connector_id,
            action_uid=None,
            label=f"In order: after run {before}",
            wake_at=now + HELD_FOR,
            created_at=since.get(run.pk, now),
        )
        for run, before in held.items()
    )
    Attempt.objects.bulk_create(
        Attempt(
            run_id=run.pk,
            passage=run.passage,
            kind=KIND,
            label="In order",
            result=Attempt.Result.WAITING,
            note=f"Run {before} of the same contact came first.",
            at=now,
        )
        for run, before in held.items()
        if run.pk not in since
    )


# --- letting the next ones go on ------------------------------------------------------------------


def release_after(runs: Iterable[tuple[int, int | None]]) -> None:
    """Let the runs behind these, given as (connector, line), go on. For those who end runs outside
    a turn: in the same transaction, after they have ended them."""
    release({(connector, line): 2 for connector, line in runs if line})


def release(lines: dict[Line, int]) -> None:
    """Wake the held runs among the first so many of each line."""
    waiting = [line for chunk in _chunks(list(lines)) for line in _with_a_waiting_head(chunk)]
    woken = sum(_wake_first([(*line, lines[line]) for line in chunk]) for chunk in _chunks(waiting))
    if woken:
        ring()


def _chunks(lines: list[Line]) -> list[list[Line]]:
    return [lines[start : start + CHUNK] for start in range(0, len(lines), CHUNK)]


def _with_a_waiting_head(lines: list[Line]) -> list[Line]:
    """A head that is due or in a worker's hands will let the others go on by itself."""
    rows = ", ".join(["(%s, %s)"] * len(lines))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT column1, column2 FROM (VALUES {rows}) AS lines WHERE 'waiting' = (SELECT state"
            " FROM engine_run WHERE connector_id = column1 AND line = column2"
            f" AND {OPEN} ORDER BY position < 0, id LIMIT 1)",
            [value for line in lines for value in line],
        )
        return [(connector, line) for connector, line in cursor.fetchall()]


def _wake_first(lines: list[tuple[int, int, int]]) -> int:
    """Make the delays of held runs due, given (connector, contact, how many of the line). One that
    somebody else has locked is being woken, or cancelled by who will release the next."""
    arm = (
        "SELECT id FROM (SELECT id FROM engine_run WHERE connector_id = %s AND line = %s"
        f" AND {OPEN} ORDER BY position < 0, id LIMIT %s) AS first"
    )
    held = (
        f"SELECT id FROM engine_delay WHERE run_id IN ({' UNION ALL '.join([arm] * len(lines))})"
        f" AND state = 'waiting' AND action_uid IS NULL {skip_locked()}"
    )
    return _make_due(held, [value for line in lines for value in line])


def release_missed() -> int:
    """Wake held runs that nobody is before: whoever ended that run did not say so. Returns how
    many; part of the sweep."""
    return _make_due(
        "SELECT held.id FROM engine_delay AS held JOIN engine_run AS run ON run.id = held.run_id"
        " WHERE held.state = 'waiting' AND held.action_uid IS NULL AND held.wake_at > %s"
        " AND run.id = (SELECT id FROM engine_run WHERE connector_id = run.connector_id"
        f" AND line = run.line AND {OPEN} ORDER BY position < 0, id LIMIT 1)"
        f" {skip_locked('held')}",
        [moment(clock.now())],
    )


def _make_due(delays: str, params: list[Any]) -> int:
    chosen = f"= ANY(ARRAY({delays}))" if is_postgresql() else f"IN ({delays})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE engine_delay SET wake_at = %s WHERE id {chosen}",
            [moment(clock.now()), *params],
        )
        return int(cursor.rowcount)
