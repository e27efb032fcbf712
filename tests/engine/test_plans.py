"""Query plans of what runs all the time: claims, waking and cancelling read the start of a partial
index, however many rows sleep or have ended."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.engine import claims, delays
from apps.engine.agenda import look
from apps.engine.models import Delay, Run
from apps.messaging import delivery
from tests.factories import ChannelFactory, ConnectorFactory

pytestmark = pytest.mark.django_db

ENDED, SLEEPING, DUE = 30_000, 30_000, 300


def series(count: int) -> str:
    if connection.vendor == "postgresql":
        return f"generate_series(1, {count}) AS series(n)"
    return (
        f"(WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < {count})"
        " SELECT n FROM up) AS series"
    )


RUN = """
INSERT INTO engine_run (event_id, connector_id, revision_id, state, wake_at, started_at, position,
    passage, attempts, {values}, error, lease_owner, lease_epoch, cause, cause_id)
SELECT n, {connector} + n % 5, 1, '{state}', {at}, {at}, 0, 1, 0, '{{}}', '', '', 0, 'event', n
FROM {series}
"""
DELAY = """
INSERT INTO engine_delay (run_id, connector_id, action_uid, label, identifier, wake_at, state,
    created_at)
SELECT n, {connector} + n % 5, {uuid}, 'Delay', {text}, {at}, '{state}', {at}
FROM {series}
"""
MESSAGE = """
INSERT INTO messaging_message (channel_id, address, text, state, verdict, reason, provider_id,
    wake_at, created_at, lease_owner, lease_epoch, cause, cause_id)
SELECT {channel}, {text}, 'Hello', '{state}', 'send', '', '', {at}, {at}, '', 0, 'run', n
FROM {series}
"""


@pytest.fixture
def full_tables(db):
    connector, channel = ConnectorFactory(), ChannelFactory()
    postgresql = connection.vendor == "postgresql"
    words = {
        "connector": connector.pk,
        "channel": channel.pk,
        "values": connection.ops.quote_name("values"),
        "uuid": "gen_random_uuid()" if postgresql else "lower(hex(randomblob(16)))",
        "text": "'+49151' || n",
    }
    past = "now() - interval '1 hour'" if postgresql else "'2020-01-01 00:00:00'"
    future = "now() + n * interval '1 minute'" if postgresql else "'2090-01-01 00:00:00'"
    with connection.cursor() as cursor:
        for template, state, at, count in [
            (RUN, "done", past, ENDED),
            (RUN, "waiting", past, SLEEPING),
            (RUN, "due", past, DUE),
            (DELAY, "fired", past, ENDED),
            (DELAY, "waiting", future, SLEEPING),
            (MESSAGE, "sent", past, ENDED),
            (MESSAGE, "queued", past, DUE),
        ]:
            cursor.execute(template.format(**words, state=state, at=at, series=series(count)))
        for table in ("engine_run", "engine_delay", "messaging_message"):
            cursor.execute(f"ANALYZE {table}")
    return connector


def plans_of(work) -> str:
    """The plans of every statement that `work` executes, as one text."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        work()
    found = []
    explain = (
        "EXPLAIN (FORMAT JSON) " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    )
    with connection.cursor() as cursor:
        for query in captured.captured_queries:
            sql = query["sql"]
            if sql.startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "ROLLBACK", "NOTIFY")):
                continue
            cursor.execute(explain + sql)
            found.append(json.dumps(cursor.fetchall(), default=str))
    assert found
    return "\n".join(found)


def assert_only_by_index(plan: str, table: str) -> None:
    nodes = plan.replace("\\", "").split('"Node Type": ')
    for node in nodes:
        assert not (node.startswith('"Seq Scan"') and f'"Relation Name": "{table}"' in node), node
    for line in plan.splitlines():
        for part in line.split('"'):
            assert not part.startswith(f"SCAN {table}") or "INDEX" in part, part


def test_claiming_runs(full_tables):
    plan = plans_of(lambda: claims.claim_batch(100))
    assert_only_by_index(plan, "engine_run")
    assert "engine_run_due" in plan
    assert Run.objects.filter(state="leased").count() == 100


def test_claiming_a_suspect(full_tables):
    plan = plans_of(claims.claim_suspect)
    assert_only_by_index(plan, "engine_run")


def test_waking(full_tables):
    plan = plans_of(delays.wake)
    assert_only_by_index(plan, "engine_delay")
    assert "engine_delay_due" in plan


def test_cancelling(full_tables):
    plan = plans_of(lambda: delays.cancel(full_tables.pk, "+4915110", "note"))
    assert_only_by_index(plan, "engine_delay")
    assert "engine_delay_cancel" in plan
    assert Delay.objects.filter(state="cancelled").count() == 1


def test_looking_for_the_earliest(full_tables):
    plan = plans_of(look)
    for table in ("engine_run", "engine_delay", "messaging_message"):
        assert_only_by_index(plan, table)


def test_claiming_messages(full_tables):
    plan = plans_of(delivery.claim)
    assert_only_by_index(plan, "messaging_message")
    assert "messaging_outbox_order" in plan
