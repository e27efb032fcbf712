"""What the engine's lists show of rows that may be gone."""

from typing import Any

from django.utils.safestring import SafeString

from apps.core.pages import link, related


def connector_name(row: Any) -> str:
    """The connector's name; rows outlive their connector."""
    connector = related(row, "connector")
    return str(connector) if connector else f"Connector {row.connector_id} (deleted)"


def connector_link(row: Any) -> SafeString | str:
    """The connector's name, leading to its page."""
    if related(row, "connector") is None:
        return connector_name(row)
    return link("admin:connectors_connector_change", row.connector_id, connector_name(row))


def contact_link(row: Any) -> SafeString | str:
    """A link to the contact; rows outlive their contact."""
    if row.contact_id is None:
        return "–"
    contact = related(row, "contact")
    if contact is None or contact.deleted_at:
        return f"Contact {row.contact_id} (deleted)"
    return link("admin:crm_contact_change", contact.pk, contact)
