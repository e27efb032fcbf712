"""Storing what is posted: Event and Run in one statement (PostgreSQL) or one transaction, with
the dedupe key claimed in the same breath."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from apps.connectors.models import Connector
from apps.core import clock
from apps.core.due import is_postgresql
from apps.core.fields import JsonText
from apps.engine import authentication, dedupe, together
from apps.engine.bell import CHANNEL
from apps.engine.bodies import Body
from apps.engine.models import UNKNOWN, DedupeKey, Event, Run

# How many sample events a connector keeps before its first publication.
SAMPLES_KEPT = 20


@dataclass(frozen=True)
class Posted:
    """A request as it is kept."""

    body: Body
    content_type: str
    query: dict[str, Any]

    def event(self, **columns: Any) -> Event:
        """The event that it makes, not saved yet."""
        return Event(
            form=self.body.form,
            body=self.body.text,
            content_type=self.content_type,
            query=self.query,
            **columns,
        )


@dataclass(frozen=True)
class Intake:
    """What intake needs to know of a connector; cached by token, checked by `version`."""

    connector_id: int
    version: int
    capture: bool
    revision_id: int | None
    auth: authentication.Rule
    per_minute: int
    # Until when the token is good that this was looked up by; None: for ever.
    until: datetime | None
    dedupe: dedupe.Rule
    mapping: dict[str, str]
    # The `line` of its runs (order.py).
    line: int | None
    response_body: str
    response_type: str


@dataclass(frozen=True)
class Receipt:
    """The stored event; `duplicate` when it is the first one of the same key."""

    event_id: int
    duplicate: bool = False


_cache: dict[str, Intake] = {}
_CACHE_SIZE = 2_000


def lookup(token: str, fresh: bool = False) -> Intake | None:
    """The connector of a token that is switched on, None when there is none.

    Only connectors that take events are remembered, so whatever would be refused has just been
    read. `fresh` reads in any case.
    """
    return (None if fresh else remembered(token)) or _read(token)


def remembered(token: str) -> Intake | None:
    """The connector of a token, when this process has looked it up before."""
    known = _cache.get(token)
    if known is not None and known.until is not None and known.until <= clock.now():
        return None
    return known


def _read(token: str) -> Intake | None:
    by_token = Q(token=token) | Q(previous_token=token, previous_token_until__gt=clock.now())
    switched_on = Connector.objects.filter(by_token, enabled=True).order_by()
    connector = switched_on.select_related("published", "credential").first()
    if connector is None:
        _cache.pop(token, None)
        return None
    document: dict[str, Any] = connector.published.document if connector.published else {}
    response = document.get("response", {})
    intake = Intake(
        connector_id=connector.pk,
        version=connector.version,
        capture=connector.capture,
        revision_id=connector.published_id,
        auth=_auth_rule(connector),
        per_minute=connector.inbound_per_minute or settings.INBOUND_PER_MINUTE,
        until=None if connector.token == token else connector.previous_token_until,
        dedupe=dedupe.rule_of(document),
        mapping=document.get("mapping", {}),
        line=UNKNOWN if document.get("in_order") else None,
        response_body=response.get("body", ""),
        response_type=response.get("type", ""),
    )
    if intake.revision_id is not None:
        if len(_cache) >= _CACHE_SIZE:
            _cache.clear()
        _cache[token] = intake
    return intake


def _auth_rule(connector: Connector) -> authentication.Rule:
    credential = connector.credential
    if connector.auth == Connector.Auth.NONE or credential is None:
        return authentication.Rule(connector.auth)
    return authentication.Rule(
        kind=connector.auth,
        secret=credential.reveal(),
        username=credential.username,
        header=connector.auth_header,
        tolerance=connector.auth_tolerance,
    )


def accept(intake: Intake, posted: Posted, dedupe_key: str) -> Receipt | None:
    """Store the event and its run; None when the connector has changed since `intake` was read
    or takes no events any more."""
    store = _store_in_one_statement if is_postgresql() else _store_in_one_transaction
    try:
        event_id = store(intake, posted, dedupe_key)
    except IntegrityError:
        return None  # The connector was deleted in this very moment.
    if event_id is not None:
        return Receipt(event_id)
    if dedupe_key and _unchanged(intake):
        first = DedupeKey.objects.filter(connector=intake.connector_id, key=dedupe_key).first()
        if first is not None:
            return Receipt(first.event_id, duplicate=True)
    return None


def _unchanged(intake: Intake) -> bool:
    return Connector.objects.filter(
        pk=intake.connector_id, version=intake.version, enabled=True
    ).exists()


_DEDUPE_SQL = f"""
WITH open AS (
    SELECT id, nextval(pg_get_serial_sequence('engine_event', 'id')) AS event_id
    FROM connectors_connector WHERE id = %(connector)s AND version = %(version)s AND enabled
), first AS (
    INSERT INTO engine_dedupekey (connector_id, key, event_id, expires_at)
    SELECT id, %(dedupe)s, event_id, %(expires)s FROM open
    ON CONFLICT (connector_id, key) DO UPDATE
        SET event_id = excluded.event_id, expires_at = excluded.expires_at
        WHERE engine_dedupekey.expires_at < %(at)s
    RETURNING connector_id AS id, event_id
), event AS (
    INSERT INTO engine_event (id, connector_id, source, state, received_at, content_type, form,
                              body, query, error)
    SELECT event_id, id, 'webhook', 'accepted', %(at)s, %(content_type)s, %(form)s,
           %(body)s, %(query)s, '' FROM first
    RETURNING id
), run AS (
    INSERT INTO engine_run (event_id, connector_id, revision_id, state, wake_at, started_at,
                            position, passage, attempts, values, error, lease_owner, lease_epoch,
                            line, cause, cause_id)
    SELECT id, %(connector)s, %(revision)s, 'due', %(at)s, %(at)s,
           -1, 1, 0, '{{}}', '', '', 0, %(line)s::bigint, 'event', id FROM event
)
SELECT id, pg_notify('{CHANNEL}', '') FROM event
"""


def columns(intake: Intake, posted: Posted, now: datetime) -> dict[str, Any]:
    """An event and its run as together.py stores them."""
    return {
        "connector": intake.connector_id,
        "version": intake.version,
        "revision": intake.revision_id,
        "line": intake.line,
        "at": now,
        "content_type": posted.content_type,
        "form": posted.body.form,
        "body": posted.body.text,
        "query": JsonText().get_prep_value(posted.query),
    }


def _store_in_one_statement(intake: Intake, posted: Posted, dedupe_key: str) -> int | None:
    now = clock.now()
    values = columns(intake, posted, now)
    if not dedupe_key:
        return together.group.store(values)
    with connection.cursor() as cursor:
        cursor.execute(
            _DEDUPE_SQL,
            {
                **values,
                "expires": now + timedelta(days=settings.DEDUPE_DAYS),
                "dedupe": dedupe_key,
            },
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def _store_in_one_transaction(intake: Intake, posted: Posted, dedupe_key: str) -> int | None:
    now = clock.now()
    with transaction.atomic():
        if intake.revision_id is None or not _unchanged(intake):
            return None
        event = posted.event(
            connector_id=intake.connector_id, state=Event.State.ACCEPTED, received_at=now
        )
        if dedupe_key:
            seen = DedupeKey.objects.filter(connector=intake.connector_id, key=dedupe_key)
            if seen.filter(expires_at__gte=now).exists():
                return None
            seen.delete()
        event.save(force_insert=True)
        if dedupe_key:
            DedupeKey.objects.create(
                connector_id=intake.connector_id,
                key=dedupe_key,
                event_id=event.pk,
                expires_at=now + timedelta(days=settings.DEDUPE_DAYS),
            )
        Run.objects.create(
            event_id=event.pk,
            connector_id=intake.connector_id,
            revision_id=intake.revision_id,
            line=intake.line,
            wake_at=now,
            started_at=now,
            cause="event",
            cause_id=event.pk,
        )
    return int(event.pk)


def keep_sample(intake: Intake, posted: Posted) -> Event:
    """Keep an event of a connector that was never published, for the attribute picker; the oldest
    samples beyond SAMPLES_KEPT go."""
    with transaction.atomic():
        event = _keep(intake, posted, Event.State.SAMPLE)
        samples = Event.objects.filter(connector=intake.connector_id, state=Event.State.SAMPLE)
        kept = samples.order_by("-pk").values_list("pk", flat=True)[:SAMPLES_KEPT]
        samples.filter(pk__lt=min(kept)).delete()
    return event


def keep_rejected(intake: Intake, posted: Posted, error: str) -> Event:
    """Keep what could not be read, visible to the operator, with the sentence that says why."""
    return _keep(intake, posted, Event.State.REJECTED, error[:300])


def _keep(intake: Intake, posted: Posted, state: str, error: str = "") -> Event:
    event = posted.event(
        connector_id=intake.connector_id, state=state, received_at=clock.now(), error=error
    )
    event.save(force_insert=True)
    return event
