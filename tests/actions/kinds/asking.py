"""Calls of HTTP API actions to a server of the tests."""

import json

from apps.actions.http.checks import host_of
from apps.actions.kinds.http_api import HttpApi


def ask(server, **columns):
    """With its credential, if it has one, let go there."""
    if credential := columns.get("credential"):
        credential.allow(host_of(server.url))
        type(credential).objects.filter(pk=credential.pk).update(hosts=credential.hosts)
    return HttpApi, {"label": "Ask", "url": f"{server.url}/ask", **columns}


def tell(server, body):
    """A second call, that sends what the first one gave."""
    return HttpApi, {
        "label": "Tell",
        "url": f"{server.url}/tell",
        "body_type": "json",
        "body": json.dumps(body),
    }


def told_to(server):
    (asked,) = [a for a in server.asked if a.path == "/tell"]
    return asked.json


def row(name, value):
    return {"name": name, "value": value}
