"""The event source *manual test*: an operator types an event, which runs like a posted one."""

from apps.connectors.models import Connector
from apps.engine import bodies, sources
from apps.engine.models import Event, Run


class NotSent(ValueError):
    """The event was not taken; the message is a sentence that says why."""


def refusal(connector: Connector) -> str:
    """Why the connector takes no test event; empty when it does."""
    if not connector.enabled:
        return "The connector is switched off. Switch it on in its settings first."
    if connector.published_id is None:
        return "The connector has not been published yet: a test event runs what is published."
    return ""


def send(connector: Connector, text: str, query: str) -> Run:
    """Store `text` as an event with the custom variables of `query` (as in a URL), and a run of
    the published revision on it. Everything that the steps do is really done. Raises NotSent."""
    refused = refusal(connector)
    if refused or connector.published_id is None:
        raise NotSent(refused)
    raw = text.encode(errors="replace")
    if len(raw) > bodies.limit():
        raise NotSent(f"The event is larger than {bodies.limit():,} bytes.")
    try:
        body = bodies.read(raw, sources.CONTENT_TYPE)
    except bodies.UnreadableBody as error:
        raise NotSent(str(error)) from None
    variables = bodies.query_fields(query.strip().lstrip("?").encode(errors="replace"))
    return sources.start(connector.pk, connector.published_id, Event.Source.MANUAL, body, variables)
