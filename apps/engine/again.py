"""Running again: an operator lets a run that has ended go on from an action of its revision.

That is a deliberate repeat: it raises the run's pass, so that its effects get keys of their own and
what was sent before may be sent once more. Whoever asks for it is shown first what that would be.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, F

from apps.connectors.models import Connector, Revision
from apps.core import clock
from apps.engine.bell import ring
from apps.engine.models import Attempt, Call, Delay, Event, Run
from apps.engine.order import first_place, stand
from apps.engine.plan import Item, Plan, plans_of
from apps.messaging.models import Message

# Before the first action: the field mapping.
BEGINNING = -1


@dataclass(frozen=True)
class Place:
    """Where a run can go on, or something that it then does."""

    position: int
    # Of the action; empty for the field mapping and for a kind that this installation lacks.
    uid: str
    kind: str
    label: str
    step_name: str
    # What the action's line said when the revision was published.
    summary: str


@dataclass(frozen=True)
class Repeat:
    """An action that may be done again, and what came of it in the runs so far."""

    place: Place
    # How often it succeeded.
    done: int
    # How often its request left, but no outcome of it came to a run.
    unheard: int
    # Address → how many messages were queued for it.
    messages: Counter[str]


def refusals(runs: Iterable[Run]) -> dict[int, str]:
    """Those of the runs that can't go on anywhere, each with a sentence that says why."""
    runs = list(runs)
    connectors = Connector.objects.in_bulk([run.connector_id for run in runs])
    plans = plans_of(run.revision_id for run in runs)
    events = set(
        Event.objects.filter(pk__in=[run.event_id for run in runs]).values_list("pk", flat=True)
    )
    found = {}
    for run in runs:
        if run.state not in Run.ENDED:
            found[run.pk] = f"Run {run.pk} has not ended yet: cancel it before you run it again."
        elif run.connector_id not in connectors:
            found[run.pk] = f"Run {run.pk} can't be run again: its connector was deleted."
        elif run.revision_id not in plans:
            found[run.pk] = f"Run {run.pk} can't be run again: the revision it was on is gone."
        elif run.event_id not in events:
            found[run.pk] = f"Run {run.pk} can't be run again: its event was deleted."
    return found


def places(revision_id: int) -> list[Place]:
    """Everything that a revision does, in order: the field mapping, if it has one, and the actions
    that are switched on."""
    plan = plans_of([revision_id])[revision_id]
    said = Revision.objects.values_list("summaries", flat=True).get(pk=revision_id)
    found = [
        _place(position, item, said)
        for position, item in enumerate(plan.items)
        if item.action is None or item.action.enabled
    ]
    if plan.mapping:
        mapped = ", ".join(plan.mapping.values())
        found.insert(0, Place(BEGINNING, "", "field_mapping", "Field mapping", "", mapped))
    return found


def _place(position: int, item: Item, said: dict[str, str]) -> Place:
    uid = str(item.action.uid) if item.action else ""
    return Place(position, uid, item.kind, item.label, item.step_name, said.get(uid, ""))


def repeats(revision_id: int, runs: Iterable[Run], position: int) -> list[Repeat]:
    """What runs of a revision that go on at `position` may do again: everything from there on
    that sends or writes. Filters may keep them from some of it."""
    ids = [run.pk for run in runs]
    plan = plans_of([revision_id])[revision_id]
    listed = [
        place
        for place in places(revision_id)
        if place.position >= position and _has_effects(plan, place)
    ]
    done, messages = _done(ids), _messages(ids)
    unheard = _unheard(ids, [place.uid for place in listed if place.uid])
    return [
        Repeat(
            place,
            done[place.kind, place.uid],
            unheard[place.uid],
            messages.get(place.uid, Counter()),
        )
        for place in listed
    ]


def _has_effects(plan: Plan, place: Place) -> bool:
    if place.position == BEGINNING:
        return True
    action = plan.items[place.position].action
    return action is None or action.writes or action.has_on_error


def _done(run_ids: list[int]) -> Counter[tuple[str, str]]:
    """How often each action succeeded, by kind and uid."""
    tried = Attempt.objects.filter(run__in=run_ids, result=Attempt.Result.DONE)
    counts = tried.values_list("kind", "action_uid").annotate(Count("pk"))
    return Counter({(kind, str(uid or "")): count for kind, uid, count in counts})


def _unheard(run_ids: list[int], uids: list[str]) -> Counter[str]:
    """In how many passes each action made a request that may have worked, though no run knows: its
    answer was lost, or the run was ended while it was under way."""
    left = Call.objects.filter(action_uid__in=uids, run__in=run_ids).exclude(
        state=Call.State.FAILED
    )
    asked = set(left.values_list("run", "passage", "action_uid", "state"))
    if not asked:
        return Counter()
    results = defaultdict(set)
    tried = Attempt.objects.filter(run__in=run_ids, action_uid__in=uids)
    for run, passage, uid, result in tried.values_list("run", "passage", "action_uid", "result"):
        results[run, passage, uid].add(result)
    unheard = set()
    for run, passage, uid, state in asked:
        said = results[run, passage, uid]
        heard = Attempt.Result.DONE in said or (said and state == Call.State.ANSWERED)
        if not heard:
            unheard.add((run, passage, uid))
    return Counter(str(uid) for _, _, uid in unheard)


def _messages(run_ids: list[int]) -> dict[str, Counter[str]]:
    """How many messages each action queued for whom."""
    queued = Message.objects.filter(cause="run", cause_id__in=run_ids)
    found: dict[str, Counter[str]] = {}
    for key, address in queued.exclude(state=Message.State.REFUSED).values_list("key", "address"):
        _, _, _, uid, *_ = (key or "::::").split(":")  # RunContext.key
        found.setdefault(uid, Counter())[address] += 1
    return found


def contact_at(run: Run, position: int) -> int | None:
    """Whom the run was about when it came to `position`: an action behind it may have mapped
    somebody else since. The first action from there on that was tried tells."""
    positions = {
        (item.kind, str(item.action.uid if item.action else "")): index
        for index, item in enumerate(plans_of([run.revision_id])[run.revision_id].items)
    }
    positions["field_mapping", ""] = BEGINNING
    tried = Attempt.objects.filter(run=run.pk).exclude(result=Attempt.Result.CANCELLED)
    found: dict[int, int | None] = {}
    for kind, uid, contact_id in tried.order_by("pk").values_list("kind", "action_uid", "contact"):
        found[positions.get((kind, str(uid or "")), BEGINNING - 1)] = contact_id
    behind = [index for index in found if index >= position]
    return found[min(behind)] if behind else run.contact_id


@transaction.atomic
def start(run: Run, place: Place, by: str) -> bool:
    """Let the run go on at `place`, in its next pass, with the contact that it had there. False
    when it is no longer as it was read: somebody else has been faster. What actions gave stays."""
    now = clock.now()
    as_read = Run.objects.filter(pk=run.pk, state=run.state, passage=run.passage)
    if not as_read.update(
        state=Run.State.DUE,
        passage=F("passage") + 1,
        position=place.position,
        contact_id=contact_at(run, place.position),
        attempts=0,
        tries=0,
        troubles=0,
        call=None,
        queue="",
        error="",
        wake_at=now,
        # A delay "after the last action" counts from here.
        last_executed_at=now,
        finished_at=None,
    ):
        return False
    # None is left as a rule; one that was must not wake the new pass.
    left = Delay.objects.filter(run=run.pk, state=Delay.State.WAITING)
    left.update(state=Delay.State.CANCELLED, ended_at=now)
    _stand_in_line(run, place)
    Attempt.objects.create(
        run_id=run.pk,
        passage=run.passage + 1,
        kind="again",
        label="Run again",
        result=Attempt.Result.DONE,
        note=f'Run again from "{place.label}" by {by}',
        at=now,
    )
    ring()
    return True


def _stand_in_line(run: Run, place: Place) -> None:
    """From the field mapping on it is found anew whom the run is about, and where it stands; from
    elsewhere it stands where it stood, or with whom that contact was merged into."""
    if place.position == BEGINNING:
        Run.objects.filter(pk=run.pk).update(line=first_place(run.revision_id))
    elif run.line:
        stand({run.pk: run.line}, "line")
