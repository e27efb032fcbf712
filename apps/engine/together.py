"""Group commit of what is posted at the same time (PostgreSQL).

A commit waits for the disk, whether it holds one event or fifty. So the thread that finds nobody
storing stores what is there, and whoever comes meanwhile is stored together by the next one.
"""

import json
import logging
from dataclasses import dataclass, field
from threading import Event as Signal
from threading import Lock, local
from time import monotonic
from typing import Any, cast

from django.db import DataError, IntegrityError, connection

from apps.core.trouble import renew_connection
from apps.engine.bell import CHANNEL

logger = logging.getLogger(__name__)

MOST = 100
# A connection that worked so many seconds ago is not asked whether it still does.
FRESH = 5.0

_STATEMENT = f"""
WITH given AS (
    SELECT * FROM json_to_recordset(%s::json) AS given (
        n int, connector bigint, version int, revision bigint, line bigint, at timestamptz,
        content_type varchar, form varchar, body text, query text)
), open AS (
    SELECT given.*, nextval(pg_get_serial_sequence('engine_event', 'id')) AS event_id
    FROM given JOIN connectors_connector AS connector ON connector.id = given.connector
        AND connector.version = given.version AND connector.enabled
), event AS (
    INSERT INTO engine_event (id, connector_id, source, state, received_at, content_type, form,
                              body, query, error)
    SELECT event_id, connector, 'webhook', 'accepted', at, content_type, form, body, query, ''
    FROM open
), run AS (
    INSERT INTO engine_run (event_id, connector_id, revision_id, state, wake_at, started_at,
                            position, passage, attempts, values, error, lease_owner, lease_epoch,
                            line, cause, cause_id)
    SELECT event_id, connector, revision, 'due', at, at,
           -1, 1, 0, '{{}}', '', '', 0, line, 'event', event_id FROM open
)
SELECT n, event_id FROM open UNION ALL SELECT NULL, NULL FROM pg_notify('{CHANNEL}', '')
"""
_encode = json.JSONEncoder(default=str).encode


@dataclass
class Post:
    """One event that is to be stored, and what became of it."""

    columns: dict[str, Any]
    done: Signal = field(default_factory=Signal)
    leads: bool = False
    event_id: int | None = None
    error: BaseException | None = None


class Group:
    """What this process is about to store."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[Post] = []
        self._busy = False

    def store(self, columns: dict[str, Any]) -> int | None:
        """Store one event and its run, with whatever else came; the event's id, or None when its
        connector takes no events any more. Raises what the database raises."""
        post = Post(columns)
        with self._lock:
            self._waiting.append(post)
            post.leads = not self._busy
            self._busy = True
        if not post.leads:
            post.done.wait()
        if post.leads:
            self._lead()
        if post.error is not None:
            raise post.error
        return post.event_id

    def _lead(self) -> None:
        """Store all that wait, and name who leads next."""
        with self._lock:
            posts, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            store_all(posts)
        finally:
            with self._lock:
                self._busy = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].done.set()
            for post in posts:
                post.done.set()


def store_all(posts: list[Post]) -> None:
    """Store them by one statement; each gets its `event_id`, or the `error` that is its own."""
    try:
        ids = _store([post.columns for post in posts])
    except (DataError, IntegrityError) as error:
        if len(posts) == 1:
            posts[0].error = error
        else:  # One of them is to blame, and the others are not.
            for post in posts:
                store_all([post])
    except Exception as error:
        renew_connection(error)
        for post in posts:
            post.error = error
    else:
        for number, post in enumerate(posts):
            post.event_id = ids.get(number)


def _store(posts: list[dict[str, Any]]) -> dict[int, int]:
    """One statement for all; the ids of the stored events by their number in the list."""
    given = _encode([{"n": number, **columns} for number, columns in enumerate(posts)])
    if monotonic() - getattr(_thread, "used_at", -FRESH) < FRESH:
        cast(Any, connection).health_check_done = True
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, [given])
        _thread.used_at = monotonic()
        return {number: event_id for number, event_id in cursor.fetchall() if event_id}


group = Group()
_thread = local()
