"""What becomes of a deleted contact's runs when the history goes, too: they end, and nothing of
what went through them stays, nor of the events that they were about."""

from apps.crm.erasing import Leaving, eraser
from apps.engine.cancel import cancel_runs
from apps.engine.models import Attempt, Call, Delay, Event, Run


@eraser
def erase_runs(leaving: Leaving, limit: int) -> int:
    if not leaving.with_history:
        return 0
    found = Run.objects.filter(contact__in=leaving.ids).values_list("pk", "event_id", "state")
    chosen = list(found[:limit])
    runs = [pk for pk, _, _ in chosen]
    cancel_runs([pk for pk, _, state in chosen if state in Run.OPEN], "The contact was erased.")
    Event.objects.filter(pk__in={event for _, event, _ in chosen}).update(
        form="json", body="{}", query={}, content_type="", error=""
    )
    told = Attempt.objects.filter(run__in=runs)
    told.update(went_in={}, came_out={}, missing=[], note="Erased.", contact=None)
    Call.objects.filter(run__in=runs).update(request={}, response={}, error="")
    Delay.objects.filter(run__in=runs).update(identifier="")
    Run.objects.filter(pk__in=runs).update(values={}, error="", contact=None)
    return len(runs)
