"""The connectors of the world. Runs inside the installation:

python -m tests.chaos.world.connectors ADDRESS    prints the plan that the model judges by

Labels are unique, and everything that an action leaves behind begins with its label.
"""

import json
import sys
from typing import Any

import django

MAPPING = {"phone": "{{ event.phone }}"}
RETRY = {"on_error": "retry", "retry_times": 3, "retry_wait": 1, "retry_then": "continue"}
COUNTER = "Total"


class Builder:
    """Makes actions as `published` takes them."""

    def __init__(self, address: str) -> None:
        from tests.factories import ChannelFactory, CounterFactory

        self.address = address
        self.channel, self.counter = ChannelFactory(), CounterFactory(name=COUNTER)

    def ask(self, label: str, method: str, **columns: Any) -> tuple[Any, dict[str, Any]]:
        from apps.actions.kinds.http_api import HttpApi

        url = f"http://{self.address}/{label}"
        said: dict[str, Any] = {"body_type": "json", "body": '{"n": "{{ event.n }}"}'}
        if method == "GET":
            url, said = url + "?n={{ event.n }}", {}
        return HttpApi, {"label": label, "method": method, "url": url, **said, **RETRY, **columns}

    def note(self, label: str, more: str = "") -> tuple[Any, dict[str, Any]]:
        from apps.actions.kinds.add_note import AddNote

        return AddNote, {"label": label, "text": f"{label} {{{{ event.n }}}} {more}"}

    def tag(self, label: str) -> tuple[Any, dict[str, Any]]:
        from apps.actions.kinds.add_tag import AddTag

        return AddTag, {"label": label, "new_tags": f"{label} {{{{ event.n }}}}, {label}"}

    def count(self, label: str) -> tuple[Any, dict[str, Any]]:
        from apps.actions.kinds.trigger_counter import TriggerCounter

        return TriggerCounter, {"label": label, "counter": self.counter, "amount": "1"}

    def send(self, label: str) -> tuple[Any, dict[str, Any]]:
        from apps.actions.kinds.send_message import SendMessage

        to = [{"to": "{{ event.phone }}"}]
        text = f"{label} {{{{ event.n }}}}"
        return SendMessage, {
            "label": label,
            "channel": self.channel,
            "recipients": to,
            "text": text,
        }

    def sleep(self, label: str, until: str) -> tuple[Any, dict[str, Any]]:
        from apps.actions.kinds.delay import Delay

        return Delay, {
            "label": label,
            "counts_from": "custom",
            "direction": "on",
            "date": until,
            "if_past": "run",
            "identifier": "{{ event.n }}",
        }


def shop(make: Builder) -> dict[str, Any]:
    said = "{{ http.quote.nonce }} {{ http.pay.nonce }}"
    first = [make.tag("shop-tag"), make.ask("quote", "GET"), make.count("shop-count")]
    pay = make.ask("pay", "POST", retry_then="stop")
    return {"steps": [first, [pay, make.note("shop-note", said), make.send("shop-send")]]}


def chatty(make: Builder) -> dict[str, Any]:
    """One call behind the other: each answer must find its own."""
    asks = [make.ask("one", "POST"), make.ask("two", "PUT"), make.ask("three", "POST")]
    return {"steps": [asks, [make.ask("four", "GET"), make.note("chatty-note")]]}


def sleepy(make: Builder) -> dict[str, Any]:
    in_two = "{{ now | date: '%s' | plus: 2 }}"
    first = [make.note("before"), make.sleep("until", "{{ event.until }}"), make.ask("put", "PUT")]
    then = [make.sleep("nap", in_two), make.count("sleepy-count"), make.send("sleepy-send")]
    return {"steps": [first, then]}


def orders(make: Builder) -> dict[str, Any]:
    in_one = "{{ now | date: '%s' | plus: 1 }}"
    steps = [make.note("order-begin"), make.ask("order", "POST"), make.sleep("order-nap", in_one)]
    return {"steps": [[*steps, make.note("order-end")]], "in_order": True}


def quick(make: Builder) -> dict[str, Any]:
    steps = [make.tag("quick-tag"), make.count("quick-count"), make.note("quick-note")]
    return {"steps": [[*steps, make.send("quick-send")]], "dedupe_header": "X-Event"}


def child(make: Builder) -> dict[str, Any]:
    steps = [make.ask("child", "POST"), make.count("child-count"), make.note("child-note")]
    return {"steps": [steps], "mapping": {}}


def seed(address: str) -> dict[str, Any]:
    """Publish them all, as in the back office; returns the plan."""
    from apps.actions.kinds.cancel_delay import CancelDelay
    from apps.actions.kinds.route_to_connector import RouteToConnector
    from tests.factories import published

    make, made = Builder(address), {}

    def publish(name: str, steps: Any, mapping: Any = MAPPING, **options: Any) -> None:
        made[name] = published(*steps, name=name, mapping=mapping, **options)

    for build in (shop, chatty, sleepy, orders, quick, child):
        publish(build.__name__, **build(make))
    target = {"connector": made["sleepy"], "identifier": "{{ event.cancels }}"}
    cancel = (CancelDelay, {"label": "cancels", "rows": {"targets": [target]}})
    publish("canceller", [[cancel, make.note("canceller-note")]])
    route = (RouteToConnector, {"label": "route", "connector": made["child"]})
    publish("router", [[make.note("router-before"), route, make.count("router-count")]])
    return {name: described(connector) for name, connector in made.items()}


def described(connector: Any) -> dict[str, Any]:
    """What the model needs to know of a connector."""
    from apps.connectors.models import Action

    actions = Action.objects.filter(step__connector=connector)
    return {
        "id": connector.pk,
        "token": connector.token,
        "mapping": connector.mappings.exists(),
        "in_order": connector.in_order,
        "items": [
            {"uid": str(action.uid), "label": action.label, "kind": action.kind}
            for action in actions.order_by("step__position", "position")
        ],
    }


if __name__ == "__main__":
    django.setup()
    print(json.dumps(seed(sys.argv[1])))
