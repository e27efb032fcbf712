"""What becomes of a deleted contact's runs when the history goes, too: they end, and nothing of
what went through them stays, nor of the events that they were about."""

from typing import Any

from apps.crm.erasing import Leaving, NotYet, eraser
from apps.engine.cancel import cancel_runs
from apps.engine.models import LEAVES_CONTACT, Attempt, Call, Delay, Event, Run


@eraser
def erase_runs(leaving: Leaving, limit: int) -> int:
    """Runs that a turn is at work on are passed over: what it is about to write is not there yet.
    With the lock on a run nobody can add to what is erased of it, nor open it again."""
    if not leaving.with_history:
        return 0
    chosen = _about(leaving, limit)
    free = Run.objects.select_for_update(skip_locked=True).filter(pk__in=chosen).order_by("pk")
    runs = {run.pk: run for run in free.only("event_id", "state")}
    if chosen and not runs:
        if Run.objects.filter(pk__in=chosen).exists():
            raise NotYet
        # Their runs are gone.
        return Attempt.objects.filter(run__in=chosen).update(**_NOTHING_TOLD)
    cancel_runs([pk for pk, run in runs.items() if run.state in Run.OPEN], ERASED)
    Event.objects.filter(pk__in={run.event_id for run in runs.values()}).update(
        form="json", body="{}", query={}, content_type="", error=""
    )
    Attempt.objects.filter(run__in=runs).update(**_NOTHING_TOLD)
    Call.objects.filter(run__in=runs).update(request={}, response={}, error="")
    Delay.objects.filter(run__in=runs).update(identifier="")
    Run.objects.filter(pk__in=runs).update(values={}, error="", contact=None)
    return len(runs)


ERASED = "The contact was erased."
_NOTHING_TOLD: dict[str, Any] = {
    "went_in": {},
    "came_out": {},
    "missing": [],
    "note": "Erased.",
    "contact": None,
}


def _about(leaving: Leaving, limit: int) -> list[int]:
    """The ids of runs that are about the contact, or were until their mapping found another one."""
    now = Run.objects.filter(contact__in=leaving.ids).values_list("pk", flat=True)
    before = Attempt.objects.filter(contact__in=leaving.ids, kind__in=LEAVES_CONTACT)
    found = [*now[:limit], *before.values_list("run_id", flat=True)[:limit]]
    return sorted(set(found))[:limit]
