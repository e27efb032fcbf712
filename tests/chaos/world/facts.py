"""What the tables say in the end, as plain rows."""

import json
from typing import Any

from tests.chaos.world.cluster import Cluster

QUERIES = {
    "events": "SELECT id, connector_id, body, extract(epoch FROM received_at) AS at"
    " FROM engine_event WHERE state = 'accepted'",
    "runs": "SELECT id, event_id, connector_id, state, passage, position, error, cause, cause_id,"
    " extract(epoch FROM started_at) AS at FROM engine_run",
    "lines": "SELECT id, run_id, passage, action_uid, kind, label, result, note, contact_id,"
    " came_out, extract(epoch FROM at) AS at FROM engine_attempt",
    "notes": "SELECT id, text, contact_id, cause, cause_id FROM crm_note",
    "tags": "SELECT link.contact_id, tag.name FROM crm_contacttag AS link"
    " JOIN crm_tag AS tag ON tag.id = link.tag_id",
    "contacts": "SELECT id, phone, merged_into_id FROM crm_contact",
    "merges": "SELECT survivor_id, loser_id, moved FROM crm_merge",
    "counters": "SELECT counter.name, value.value FROM datastore_countervalue AS value"
    " JOIN datastore_counter AS counter ON counter.id = value.counter_id",
    "messages": "SELECT id, key, address, text, state, cause_id,"
    " extract(epoch FROM created_at) AS at FROM messaging_message",
    "calls": "SELECT id, run_id, idempotency_key, state, error,"
    " extract(epoch FROM at) AS at FROM engine_call",
}


def read(cluster: Cluster) -> dict[str, list[dict[str, Any]]]:
    """Each table as a list of rows; past the proxy and the product."""
    with cluster.connect() as connection:
        return {name: _rows(connection, query) for name, query in QUERIES.items()}


def _rows(connection: Any, query: str) -> list[dict[str, Any]]:
    found = connection.execute(query + " ORDER BY 1")
    names = [column.name for column in found.description]
    return [
        {name: _plain(value) for name, value in zip(names, row, strict=True)}
        for row in found.fetchall()
    ]


def _plain(value: Any) -> Any:
    """As JSON has it: ids as texts, times as numbers."""
    try:
        json.dumps(value)
    except TypeError:
        text = str(value)
        return float(value) if text.replace(".", "").isdigit() else text
    return value
