"""Steps of tests whose runs ask a server."""

from apps.actions.kinds.http_api import HttpApi
from apps.core.http.outgoing import outgoing
from apps.engine.models import Attempt

ANA = "+4915112345678"


def ask(server, label, method="POST", **columns):
    url = f"{server.url}/{label.lower()}"
    return (HttpApi, {"label": label, "method": method, "url": url, **columns})


def wait_for_an_answer():
    for _ in range(3):
        outgoing().wait(5)


def told(label):
    entries = Attempt.objects.filter(label=label).order_by("pk")
    return list(entries.values_list("passage", "result"))
