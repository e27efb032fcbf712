"""The small shop of the demo: one channel, a few people, one published connector."""

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.send_message import SendMessage
from apps.connectors.models import Connector, Step
from apps.connectors.publish import publish
from apps.crm.models import Contact
from apps.messaging.models import Channel

NAME = "Shop orders"
ORDER = {
    "order": {"id": 1001, "total": 89.5, "currency": "EUR"},
    "customer": {"name": "Ana Lima", "phone": "+4915112345678"},
}
_PEOPLE = [
    ("Ana Lima", "+4915112345678", "ana@example.com"),
    ("Ben Okafor", "+14155552671", "ben@example.com"),
    ("Chiara Rossi", "+393331234567", "chiara@example.com"),
]


def seed_shop() -> Connector:
    """Make the shop once; a second call finds it and leaves it as it is."""
    known = Connector.objects.filter(name=NAME).first()
    if known is not None:
        return known
    channel, _ = Channel.objects.get_or_create(
        name="Shop WhatsApp", defaults={"address": "+4930123456"}
    )
    for name, phone, email in _PEOPLE:
        Contact.objects.get_or_create(phone=phone, defaults={"name": name, "email": email})
    connector = Connector.objects.create(
        name=NAME,
        description="Thanks for every order; big spenders get a tag and a second message later.",
    )
    connector.mappings.create(field="phone", value="{{ event.customer.phone }}")
    connector.mappings.create(field="name", value="{{ event.customer.name }}")
    _thanks(connector, channel)
    _follow_up(connector, channel)
    publish(connector)
    connector.refresh_from_db()
    return connector


def _thanks(connector: Connector, channel: Channel) -> None:
    step = Step.objects.create(connector=connector, name="Say thanks", position=0)
    SendMessage.objects.create(
        step=step,
        position=0,
        channel=channel,
        recipients=[{"to": "{{ contact.phone }}"}],
        text="Hi {{ contact.name | default: 'there' }}, thank you for order "
        "{{ event.order.id }} over {{ event.order.total }} {{ event.order.currency }}!",
    )


def _follow_up(connector: Connector, channel: Channel) -> None:
    step = Step.objects.create(connector=connector, name="Look after big orders", position=1)
    total = {"left": "event.order.total", "operator": "number:greater", "right": "50"}
    Filter.objects.create(step=step, position=0, conditions=[total])
    AddTag.objects.create(step=step, position=1, new_tags="big spender")
    Delay.objects.create(
        step=step, position=2, amount=2, unit="minutes", identifier="{{ event.order.id }}"
    )
    SendMessage.objects.create(
        step=step,
        position=3,
        channel=channel,
        label="Ask how it went",
        recipients=[{"to": "{{ contact.phone }}"}],
        text="{{ contact.name }}, is everything all right with order {{ event.order.id }}?",
    )
