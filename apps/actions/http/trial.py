"""The *Test* button: one real request of an action as it stands in its form, saved or not."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from liquid.exceptions import LiquidError

from apps.connectors.frozen import freeze_action, thaw_action
from apps.connectors.models import Action, Connector
from apps.connectors.outcomes import Call, Ended, Failed, Outcome
from apps.core import clock, liquid
from apps.core.budget import one_budget
from apps.core.due import is_postgresql
from apps.core.http import blocking
from apps.core.http.messages import Failure, Kind, Response
from apps.core.http.redaction import without
from apps.crm.services import living
from apps.engine import calls
from apps.engine.context import RunContext, Vanished
from apps.engine.dialling import OVER_LIMIT
from apps.engine.group import SHARED_LOCK
from apps.engine.limits import Slots
from apps.engine.models import Call as Row
from apps.engine.models import Event, Run
from apps.engine.plan import Plan


@dataclass(frozen=True)
class Trial:
    """What a test came to. `row`: its log, None when no request was made."""

    outcome: Ended
    row: Row | None
    # Attributes of the request that had no value.
    missing: list[str]


def try_out(
    action: Action, connector: Connector, event: Event | None, values: dict[str, Any]
) -> Trial:
    """Ask once, for 60 seconds at the most, and do with the answer what a run would do: log it,
    map it, mail a failure. `values`: what earlier actions may have given, by family and key."""
    thawed = thaw_action(freeze_action(action))
    # The credential as the form describes it: it may be let go somewhere for this once.
    credential = getattr(action, "credential", None)
    refs = {(type(credential), credential.pk): credential} if credential else {}
    context = _context(connector, event, values, refs)
    context.begin(thawed)
    row: Row | None = None
    try:
        with one_budget():
            outcome: Outcome = thawed.perform(context)
        if isinstance(outcome, Call):
            row = _take_slot(UUID(str(thawed.uid)), outcome)
            answer = _answer(row, outcome) if row else _over_limit()
            with transaction.atomic():
                outcome = outcome.then(context, answer)
    except (LiquidError, Vanished) as error:
        outcome = Failed(_sentence(error))
    if isinstance(outcome, Call):
        # A run would ask again; a person can do so.
        outcome = Failed(row.error if row else OVER_LIMIT)
    if isinstance(outcome, Failed):
        with transaction.atomic():
            thawed.gave_up(context, outcome)
    return Trial(outcome, row, sorted(set(context.missing)))


def _context(
    connector: Connector, event: Event | None, values: dict[str, Any], refs: dict[Any, Any]
) -> RunContext:
    """As the event's own run saw it, where there was one."""
    now = clock.now()
    past = Run.objects.filter(event=event.pk).order_by("-pk").first() if event else None
    contact = living([past.contact_id]).get(past.contact_id) if past and past.contact_id else None
    merged = dict(past.values) if past else {}
    for family, given in values.items():
        merged[family] = {**given, **merged.get(family, {})}
    run = Run(connector=connector, started_at=now, values=merged)
    told = {"uid": str(connector.uid), "name": connector.name}
    plan = Plan(connector.pk, told, {}, in_order=False, items=(), shared_from=(False,))
    return RunContext(run, event or Event(received_at=now, body="{}"), plan, contact, refs)


def _take_slot(action_uid: UUID, outcome: Call) -> Row | None:
    """The committed intent; None over the account's limit, which tests share with runs."""
    with transaction.atomic():
        if is_postgresql():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SHARED_LOCK])
        if not Slots().take():
            return None
        return Row.objects.create(
            action_uid=action_uid,
            idempotency_key=str(uuid4()),
            request=dict(outcome.shown),
        )


def _answer(row: Row, outcome: Call) -> Response | Failure:
    answer = without(outcome.secrets, blocking.call(calls.keyed(outcome.request, row)))
    calls.settle(row, answer)
    row.save()
    return answer


def _over_limit() -> Failure:
    return Failure(OVER_LIMIT, Kind.LIMITED, sent=False, took_us=0)


def _sentence(error: Exception) -> str:
    if isinstance(error, LiquidError):
        return f"An attribute can't be filled in: {liquid.reason(error)}"
    return str(error)
