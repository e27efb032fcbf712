"""A turn that breaks: find out what has happened of it, and whose fault it was.

A run fails only by its own fault. What the installation refuses (no space, no memory, a locked
table, a lost connection) is put back and done later; a run that is refused alone again and again,
while others pass, is at fault after all.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from time import sleep
from typing import Any

from django.db import connection, transaction

from apps.core import clock, rows
from apps.core.clock import uptime
from apps.core.due import LEASE, is_postgresql, owner
from apps.core.trouble import (
    DATABASE_ERRORS,
    Trouble,
    kind_of,
    renew_connection,
    said_by,
    sentence,
)
from apps.engine import calls, dialling
from apps.engine.advance import Story
from apps.engine.calls import Flight
from apps.engine.group import LEAVES_WITHIN, Claim, TooLate, advance_group
from apps.engine.models import Run
from apps.engine.order import release_after

logger = logging.getLogger(__name__)

# How often a turn is taken again at once, by what stood in its way.
AGAIN = {Trouble.CONFLICT: 8, Trouble.GONE: 3}
# Seconds in which the runs of a broken turn are tried one by one; the rest is put back untried.
ALONE_SECONDS = 5.0
# A run that the installation refused alone, while others passed, comes back after so many seconds;
# after the last one it is its own fault.
WAITS = (2, 10, 60, 300)
# One that was refused with all others: whoever claims next waits by itself.
SOON = timedelta(seconds=1)


class InTrouble(Exception):
    """The installation refuses to work, and no run can be blamed for it. The message says what is
    wrong; all runs in hand were put back."""


def take(claims: list[Claim]) -> list[Claim]:
    """One turn; returns the claims that it did not get to. Raises InTrouble, or what the database
    raises when it can't even be asked what has happened."""
    tried = 0
    while claims:
        story, began = Story(), uptime()
        try:
            left = advance_group(claims, story)
        except Exception as error:
            broke, kind = error, _kind(error)
            claims = reread(claims, story, began, broke)
        else:
            _passes.one()
            return left
        tried += 1
        if tried >= _tries(kind):
            _one_by_one(claims, broke)
            return []
        sleep(0.01 * 2**tried)
    return []


def _tries(kind: Trouble | None) -> int:
    return AGAIN.get(kind, 1) if kind else 1


def _kind(error: Exception) -> Trouble | None:
    return Trouble.CONFLICT if isinstance(error, TooLate) else kind_of(error)


def reread(claims: list[Claim], story: Story, began: float, broke: Exception) -> list[Claim]:
    """What became of a turn that raised `broke`: the claims that still hold, as they are by now.

    If its commit was done and only the word of it was lost, then its runs have moved on, or they
    wait for the very calls that it meant to make: these leave now. When the connection was lost,
    the rows are locked first, so that a backend that is still about to commit is waited for. Else
    nobody is waited for: what somebody else has locked must not hold up the rest.
    """
    renew_connection(broke)
    meant = {flight.row.pk: flight for flight in story.calls.flights}
    leave, still, gone = [], [], []
    with transaction.atomic():
        runs = _leased(claims, waits=kind_of(broke) is Trouble.GONE)
        found = {(run.pk, run.lease_epoch): run for run in runs}
        for claim in claims:
            run = found.get((claim.run.pk, claim.run.lease_epoch))
            if run is not None and run.call == claim.call:
                still.append(Claim(run, claim.flight))
                continue
            if run is not None and run.call in meant:
                leave.append(meant[run.call])
            if claim.flight is not None:
                gone.append(claim.flight)
        dialling.write_late_outcomes(gone)
    exchange = calls.exchange()
    for flight in gone:
        exchange.over(flight)
    exchange.start(leave, leave_by=began + LEAVES_WITHIN)
    exchange.meant.difference_update(meant)
    return still


def _leased(claims: list[Claim], waits: bool) -> list[Run]:
    which, given = rows.among("id", {claim.run.pk for claim in claims})
    lock = "FOR NO KEY UPDATE" if waits and is_postgresql() else ""
    where = f"state = 'leased' AND lease_owner = %s AND {which} ORDER BY id {lock}"
    return rows.select(Run, where, [owner(), given])


# --- one by one ----------------------------------------------------------------------------------


def _one_by_one(claims: list[Claim], broke: Exception) -> None:
    """Let each run show whether it can go on by itself; those that can't are put back, or fail.
    There is not time for all when each waits for a lock, and none when the drain is to end: the
    rest was not refused and is only put back."""
    logger.warning("A turn of %s runs is done again, one by one", len(claims), exc_info=broke)
    refused: list[tuple[Claim, Exception]] = []
    untried: list[Claim] = []
    passed, until = 0, uptime() + ALONE_SECONDS
    with _short_waits():
        for claim in claims:
            if uptime() > until or calls.exchange().closing:
                untried.append(claim)
            elif (trouble := _alone(claim)) is None:
                passed += 1
                _passes.one()
            else:
                refused.append(trouble)
        for claim in untried:
            _come_again(claim, SOON)
        put_back(refused, others_pass=bool(passed))
    if refused and not passed:
        error = refused[0][1]
        raise InTrouble(sentence(error)) from error


@contextmanager
def _short_waits() -> Iterator[None]:
    """One locked row must not cost each of many runs the whole patience for locks."""
    if not is_postgresql() or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        before = cursor.fetchone()[0]
        cursor.execute("SET lock_timeout = '250ms'")
    try:
        yield
    finally:
        with suppress(Exception), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])


def _alone(claim: Claim) -> tuple[Claim, Exception] | None:
    """A turn for one run, whose own errors can harm nobody else: they end it. Returns the claim
    and the error when the installation refused it."""
    tried = 0
    while True:
        story, began = Story(), uptime()
        try:
            advance_group([claim], story, alone=True)
            return None
        except Exception as error:
            broke, kind = error, _kind(error)
        still = reread([claim], story, began, broke)
        if not still:
            return None
        (claim,) = still
        if kind in (None, Trouble.OWN):
            logger.error("Run %s broke", claim.run.pk, exc_info=broke)
            fail(claim, f"The run could not be saved: {said_by(broke)}")
            return None
        tried += 1
        if tried >= _tries(kind):
            return claim, broke
        sleep(0.01 * 2**tried)


# --- putting back, and giving up -----------------------------------------------------------------


class Passes:
    """Tells whether other runs got on in this process since a run was last put back."""

    def __init__(self) -> None:
        self._count = 0
        self._seen: dict[int, int] = {}

    def one(self) -> None:
        self._count += 1

    def since(self, run_id: int) -> bool:
        if len(self._seen) > 10_000:
            self._seen.clear()
        return self._seen.get(run_id, self._count) < self._count

    def note(self, run_id: int) -> None:
        self._seen[run_id] = self._count


_passes = Passes()


def put_back(refused: list[tuple[Claim, Exception]], others_pass: bool) -> None:
    """Let runs come again that the installation refused. One with an answer keeps it, in hand."""
    for claim, error in refused:
        run = claim.run
        counts = others_pass or _passes.since(run.pk)
        _passes.note(run.pk)
        if counts and run.troubles >= len(WAITS):
            times = run.troubles + 1
            with _unless_locked():
                fail(claim, f"It was refused {times} times while others passed: {sentence(error)}")
                continue
        wait = timedelta(seconds=WAITS[min(run.troubles, len(WAITS) - 1)]) if counts else SOON
        run.troubles += counts
        _come_again(claim, wait)


def _come_again(claim: Claim, wait: timedelta) -> None:
    with _unless_locked():
        if claim.flight is None:
            _put_back(claim.run, wait)
        else:
            _keep_in_hand(claim, claim.flight, wait)


@contextmanager
def _unless_locked() -> Iterator[None]:
    """What somebody else has locked can't even be put back: then it is left to its lease, and who
    has an answer in hand keeps it."""
    try:
        yield
    except DATABASE_ERRORS as error:
        if kind_of(error) is not Trouble.LOCKED:
            raise


def _ours(run: Run) -> Any:
    return Run.objects.filter(
        pk=run.pk,
        state=Run.State.LEASED,
        lease_owner=owner(),
        lease_epoch=run.lease_epoch,
    )


def _put_back(run: Run, wait: timedelta) -> None:
    _ours(run).update(
        state=Run.State.DUE,
        wake_at=clock.now() + wait,
        attempts=max(run.attempts - 1, 0),
        troubles=run.troubles,
        lease_epoch=run.lease_epoch + 1,
        lease_until=None,
    )


def _keep_in_hand(claim: Claim, flight: Flight, wait: timedelta) -> None:
    run = claim.run
    wait = min(wait, LEASE)  # it is not given more than that ahead of time (leases.py)
    flight.run, flight.rests_until = run, uptime() + wait.total_seconds()
    _ours(run).update(troubles=run.troubles, lease_until=clock.now() + wait + LEASE)


def fail(claim: Claim, error: str) -> None:
    """End a run that can't go on. What its call was answered is kept, if it can be."""
    try:
        _fail(claim, error, claim.flight)
    except DATABASE_ERRORS as broke:
        if claim.flight is None or kind_of(broke) is not Trouble.OWN:
            raise
        logger.exception("The answer for run %s can't be kept", claim.run.pk)
        _fail(claim, error, None)
    if claim.flight is not None:
        calls.exchange().over(claim.flight)


def _fail(claim: Claim, error: str, flight: Flight | None) -> None:
    run = claim.run
    with transaction.atomic():
        ended = _ours(run).update(
            state=Run.State.FAILED,
            error=error[:300],
            finished_at=clock.now(),
            call=None,
            lease_until=None,
        )
        if flight is not None:
            dialling.write_late_outcomes([flight])
        elif ended and claim.call is not None:
            dialling.abandon([claim.call])
        if ended:
            release_after([(run.connector_id, run.line)])


def give_up(run: Run) -> None:
    """End a run that interrupted every worker that touched it."""
    text = f"Poison: the run interrupted its worker {run.attempts - 1} times and was ended."
    text += " The workers' log says what happened to them."
    fail(Claim(run), text)
