import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from apps.connectors.models import Connector


@pytest.fixture
def operator(db: None) -> Client:
    """A staff member who may do everything with connectors and nothing else."""
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="connectors"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def edit(operator: Client) -> Callable[..., Any]:
    """Make an edit of the flow as its page does; by default on the version that is there."""

    def send(connector: Connector, edit: str, /, **sent: Any) -> Any:
        connector.refresh_from_db()
        sent.setdefault("version", connector.draft_version)
        address = reverse(f"admin:flow_{edit}", args=[connector.pk])
        return operator.post(address, json.dumps(sent), content_type="application/json")

    return send
