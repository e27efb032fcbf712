"""What is posted to each page: what its own form would send; where there is none, or scripts fill
it in, what stands here. Posted by a superuser it writes something, which test_pages.py looks after:
so what is refused to others is something that could have been done."""

import json
from collections.abc import Callable
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from apps.actions.kinds.http_api import HttpApi
from apps.connectors.exporting import export
from apps.connectors.models import Connector, Step
from apps.datastore.models import Column, Table
from apps.engine.models import Run
from tests.builder.rights.asking import PASSWORD, Answer
from tests.builder.rights.forms import filled_in
from tests.builder.rights.walk import Page
from tests.builder.rights.world import PEOPLE, World

NEW_PASSWORD = "Another-horse-8"
Body = dict[str, Any] | str


def query_of(page: Page, world: World) -> str:
    """What the page is told in its address besides."""
    if page.part in ("add", "test_new") and page.model in world.kinds:
        return f"?step={world.rows[Step].pk}"
    return {"admin:engine_run_again": "?from=-1"}.get(page.id, "")


def body_of(page: Page, world: World, shown: Answer, address: str) -> Body:
    """`shown`: the page, as a superuser is shown it."""
    made = BODIES.get(page.id, lambda _: {})(world)
    if isinstance(made, str) or shown.status != 200 or b"<form" not in shown.content:
        return made
    return {**filled_in(shown.content.decode(), address, world.searched), **made}


def _edit(**sent: Any) -> Callable[[World], str]:
    """An edit of the flow, as its page makes it."""

    def body(world: World) -> str:
        version = Connector.objects.get(pk=world.rows[Connector].pk).draft_version
        known = {"step": world.rows[Step].pk, "action": world.rows[HttpApi].pk}
        return json.dumps({"version": version, "name": "New", **known, **sent})

    return body


def _order(world: World) -> str:
    steps = world.rows[Connector].steps.order_by("-position").values_list("pk", flat=True)
    return _edit(order=list(steps))(world)


def _layout(world: World) -> str:
    layout = {
        step.pk: [action.pk for action in step.actions.order_by("-position")]
        for step in world.rows[Connector].steps.all()
    }
    return _edit(layout=layout)(world)


def _upload(name: str, text: str) -> dict[str, Any]:
    return {"file": SimpleUploadedFile(name, text.encode())}


def _cells(world: World) -> dict[str, str]:
    columns = Column.objects.filter(table=world.rows[Table].pk)
    return {f"c{column.pk}": "77" for column in columns}


def _seen(world: World) -> dict[str, str]:
    run = Run.objects.get(pk=world.others["admin:engine_run_again pk"])
    return {"seen": f"{run.pk}:{run.passage}"}


def _columns_of_table(world: World) -> dict[str, str]:
    return {"columns-0-name": "Colour", "columns-0-type": "text"}


_ADDRESSES = {"addresses": "+4915112345670"}
_CONDITION = json.dumps([{"left": "event.id", "operator": "number:greater", "right": "5"}])
_RECIPIENT = json.dumps([{"to": "+4915112345678"}])

BODIES: dict[str, Callable[[World], Body]] = {
    "hook": lambda _: json.dumps({"id": 7}),
    "admin:password_change": lambda _: {
        "old_password": PASSWORD,
        "new_password1": NEW_PASSWORD,
        "new_password2": NEW_PASSWORD,
    },
    "admin:crm_contact_note": lambda _: {"text": "Likes coffee"},
    "admin:crm_contact_add": lambda _: {"phone": "+4915112345671"},
    "admin:transfer_contactimport_add": lambda _: _upload("people.csv", PEOPLE),
    "admin:messaging_blacklistentry_add": lambda _: _ADDRESSES,
    "admin:messaging_optout_add": lambda _: _ADDRESSES,
    "admin:datastore_row_add": _cells,
    "admin:datastore_row_change": _cells,
    "admin:datastore_table_add": _columns_of_table,
    "admin:datastore_table_upload": lambda _: _upload("rows.csv", "Code,Total\nB-2,7\n"),
    "admin:engine_run_again": _seen,
    "admin:engine_schedule_add": lambda _: {"cron": "0 9 * * *"},
    "admin:auth_user_password_change": lambda _: {
        "password1": NEW_PASSWORD,
        "password2": NEW_PASSWORD,
    },
    "admin:auth_user_add": lambda _: {
        "username": "made",
        "password1": NEW_PASSWORD,
        "password2": NEW_PASSWORD,
    },
    "admin:flow_add-step": _edit(),
    "admin:flow_rename-step": _edit(),
    "admin:flow_delete-step": _edit(),
    "admin:flow_order-steps": _order,
    "admin:flow_delete-action": _edit(),
    "admin:flow_switch-action": _edit(enabled=False),
    "admin:flow_order-actions": _layout,
    "admin:connectors_connector_import": lambda world: {
        "name": "Taken in",
        **_upload("connector.json", export(world.rows[Connector])),
    },
    "admin:actions_filter_add": lambda _: {
        "conditions": _CONDITION,
        "memberships-TOTAL_FORMS": "0",
        "counters-TOTAL_FORMS": "0",
    },
    "admin:actions_sendmessage_add": lambda _: {"recipients": _RECIPIENT},
    "admin:actions_sendmessage_change": lambda _: {"recipients": _RECIPIENT},
    "admin:actions_canceldelay_add": lambda world: {
        "targets-0-connector": str(world.rows[Connector].pk),
        "targets-0-identifier": "x",
    },
}

# Pages that write in other ways than by what is posted here, and why.
UNWRITTEN = {
    "admin:crm_contact_merge_with": "It searches; the page that it leads to merges.",
    "admin:actions_httpapi_test_new": "It calls a server outside: tests of its own.",
    "admin:actions_httpapi_test": "It calls a server outside: tests of its own.",
}
