"""Who may open and do what. Every address of the builder is walked, so a new one is held too."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from apps.actions.kinds.stop import StopRun
from apps.builder.flow_views import EDITS
from apps.builder.links import kind_url
from apps.connectors import registry
from apps.connectors.models import Action, Step
from apps.connectors.publish import publish
from tests.factories import StepFactory

pytestmark = pytest.mark.django_db
READS = ["flow", "change", "history", "export"]
WRITES = [*(f"flow_{name}" for name in EDITS), "publish", "new_url"]


def client_with(*codenames, **user):
    made = User.objects.create_user("somebody", **user)
    made.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(made)
    return client


@pytest.fixture
def action():
    made = StopRun.objects.create(step=StepFactory())
    publish(made.step.connector)
    return made


def addresses(action):
    """Every page and every edit, as (address, whether it changes something by being posted to)."""
    pk = action.step.connector_id
    yield reverse("admin:connectors_connector_changelist"), False
    for name in READS:
        yield reverse(f"admin:connectors_connector_{name}", args=[pk]), False
    for name in WRITES:
        prefix = "" if name.startswith("flow_") else "connectors_connector_"
        yield reverse(f"admin:{prefix}{name}", args=[pk]), True
    yield reverse("admin:connectors_connector_delete", args=[pk]), True
    yield reverse("admin:connectors_connector_import"), True
    yield reverse("admin:connectors_connector_restore", args=[pk, 1]), True
    yield reverse("admin:connectors_connector_export", args=[pk, 1]), False
    for kind in registry.kinds().values():
        yield f"{kind_url(kind, 'add')}?step={action.step_id}", True
    yield kind_url(StopRun, "change", action.pk), True
    yield kind_url(StopRun, "delete", action.pk), True


def state(action):
    return list(Action.objects.values()), list(Step.objects.values())


@pytest.mark.parametrize("staff", [None, False])
def test_nobody_else_comes_in(action, staff):
    client = Client() if staff is None else client_with("change_connector", is_staff=False)
    before = state(action)
    for address, _ in addresses(action):
        for answer in (client.get(address), client.post(address, {"post": "yes"})):
            assert answer.status_code == 302, address
            assert answer.url.startswith(reverse("admin:login"))
    assert state(action) == before


def test_staff_without_the_permission_see_and_change_nothing(action):
    client = client_with(is_staff=True)
    before = state(action)
    for address, _ in addresses(action):
        for answer in (client.get(address), client.post(address, {"post": "yes"})):
            assert answer.status_code in (403, 405), address
    assert state(action) == before


def test_who_may_look_changes_nothing(action):
    client = client_with("view_connector", is_staff=True)
    before = state(action)
    for address, changes in addresses(action):
        if changes:
            posted = client.post(address, {"post": "yes"})
            assert posted.status_code == 403, address
        else:
            assert client.get(address).status_code == 200, address
    assert client.get(kind_url(StopRun, "change", action.pk)).status_code == 200
    page = client.get(reverse("admin:connectors_connector_flow", args=[action.step.connector_id]))
    for tool in ("data-add-action", "data-move", "data-delete", "Publish</button>", "<form"):
        assert tool not in page.content.decode().partition('id="flow"')[2]
    assert state(action) == before


def test_an_owner_opens_everything(action, admin_client):
    for address, _ in addresses(action):
        status = admin_client.get(address).status_code
        assert status == (405 if "/flow/" in address and not address.endswith("/flow/") else 200)


def test_what_changes_something_needs_a_token_of_the_page(action, admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    before = state(action)
    for address, changes in addresses(action):
        if changes:
            assert client.post(address, {"post": "yes"}).status_code == 403, address
    assert state(action) == before


def test_a_connector_that_is_gone_is_not_found(admin_client):
    for name in ["flow", "publish", "new_url", "export"]:
        address = reverse(f"admin:connectors_connector_{name}", args=[999])
        assert admin_client.get(address).status_code == 404
    for name in ["restore", "export"]:
        address = reverse(f"admin:connectors_connector_{name}", args=[999, 1])
        assert admin_client.get(address).status_code == 404
