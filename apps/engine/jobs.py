"""The lane of long jobs: each turn does a little of one of them, so that imports and their like
hold up nothing else."""

import logging
from datetime import timedelta
from time import monotonic
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from apps.core import clock, jobs, notices, rows
from apps.core.due import is_postgresql, owner
from apps.core.jobs import TRIES, Again, Job, JobFailed
from apps.core.trouble import (
    Trouble,
    is_installations,
    kind_of,
    renew_connection,
    said_by,
    sentence,
)
from apps.engine import crm_changes

logger = logging.getLogger(__name__)

# A turn ends after the slice in which this time runs out.
SECONDS = 0.05
# How long a job waits that met somebody else's transaction, and one that the installation refused
# (no space, a locked table).
AFTER_A_CONFLICT, TROUBLE_WAITS = timedelta(seconds=1), timedelta(seconds=15)


def turn() -> int:
    """Go on with the job that has waited longest; returns 1 if there was one."""
    kind = jobs.next_kind()
    job = kind.claim_next() if kind else None
    if job is None:
        return 0
    work_on(job)
    return 1


def work_on(job: Job) -> None:
    """A turn of one claimed job. Whatever comes of it, the job is not leased any more."""
    if job.tries > TRIES:
        _end(job, Job.State.FAILED, f"It was given up: it broke off {TRIES} times at this place.")
        return
    try:
        _slices(job, job.prepare())
    except JobFailed as failed:
        _end(job, Job.State.FAILED, str(failed))
    except Again:
        _put_back(job, timedelta())
    except Exception as error:
        renew_connection(error)
        if is_installations(error):
            _wait_for_better_times(job, error)
        else:
            _try_again(job, error)


def _try_again(job: Job, error: Exception) -> None:
    """It broke by itself, or by our own mistake."""
    if job.tries < TRIES:
        logger.warning("%s %s is tried again", type(job).__name__, job.pk, exc_info=error)
        _put_back(job, timedelta(seconds=2**job.tries))
        return
    logger.error("%s %s was given up", type(job).__name__, job.pk, exc_info=error)
    why = said_by(error).rstrip(".")
    _end(job, Job.State.FAILED, f"It was given up after {TRIES} tries: {why}.")


def _wait_for_better_times(job: Job, error: Exception) -> None:
    """Nothing is wrong with the job: it waits with its tries as they were, and operators are told,
    unless it has only met somebody else's transaction."""
    if kind_of(error) is Trouble.CONFLICT:
        _put_back(job, AFTER_A_CONFLICT, job.tries - 1)
        return
    logger.warning("%s %s waits: %s", type(job).__name__, job.pk, error)
    notices.tell(sentence(error))
    _put_back(job, TROUBLE_WAITS, job.tries - 1)


def recover() -> int:
    """Put back what this process holds by the database's word: it lives, so its jobs have not
    broken it. Returns how many."""
    ours = {"state": Job.State.WORKING, "lease_owner": owner()}
    one_less = Greatest(F("tries") - 1, 0)
    held: list[Any] = [kind._default_manager.filter(**ours) for kind in jobs.KINDS]
    return sum(_again(each, timedelta(), one_less) for each in held)


def _slices(claimed: Job, prepared: Any) -> None:
    """Slices in one transaction with the fence and the job's new columns; nothing of them has
    happened when this raises."""
    until = monotonic() + SECONDS
    with transaction.atomic(), crm_changes.one_look():
        _plan_anew()
        job = _fenced(claimed)
        if job is None:
            return
        if job.cancel_asked:
            job.state, job.ended_at = Job.State.CANCELLED, clock.now()
        else:
            job.prepared = prepared
            finished = job.slice()
            while not finished and job.rest is None and monotonic() < until:
                finished = job.slice()
            job.state = Job.State.DONE if finished else Job.State.WAITING
            job.ended_at = clock.now() if finished else None
            job.tries, job.wake_at = 0, clock.now() + (job.rest or timedelta())
        job.lease_until = None
        job.save()


def _plan_anew() -> None:
    """Let each statement of these slices be planned for the rows that are there. A plan that was
    kept since the tables were empty compares each row of a file with each of a thousand keys."""
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL plan_cache_mode = 'force_custom_plan'")


def _fenced(job: Job) -> Any:
    """The row as it is now, locked; None when it is no longer ours."""
    lock = "FOR NO KEY UPDATE" if is_postgresql() else ""
    where = f"id = %s AND state = 'working' AND lease_owner = %s AND lease_epoch = %s {lock}"
    found = rows.select(type(job), where, [job.pk, job.lease_owner, job.lease_epoch])
    return next(iter(found), None)


def _ours(job: Job) -> Any:
    table: Any = type(job)._default_manager
    lease = {"lease_owner": job.lease_owner, "lease_epoch": job.lease_epoch}
    return table.filter(pk=job.pk, state=Job.State.WORKING, **lease)


def _end(job: Job, state: str, note: str) -> None:
    _ours(job).update(state=state, note=note[:500], ended_at=clock.now(), lease_until=None)


def _put_back(job: Job, after: timedelta, tries: int | None = None) -> None:
    _again(_ours(job), after, job.tries if tries is None else tries)


def _again(held: Any, after: timedelta, tries: Any) -> int:
    count: int = held.update(
        state=Job.State.WAITING,
        wake_at=clock.now() + after,
        tries=tries,
        lease_until=None,
        lease_epoch=F("lease_epoch") + 1,
    )
    return count
