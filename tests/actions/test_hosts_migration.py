"""The upgrade that gave credentials their hosts."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.actions.kinds.http_api import HttpApi
from apps.connectors.publish import publish
from apps.core.models import Credential
from tests.factories import CredentialFactory, StepFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_is_in_use_goes_on_going_where_it_went():
    step = StepFactory()
    used, unused = CredentialFactory(hosts="now.example"), CredentialFactory()
    action = HttpApi.objects.create(step=step, url="https://now.example/a", credential=used)
    publish(step.connector)
    HttpApi.objects.filter(pk=action.pk).update(url="http://next.example:8080/{{ event.n }}")
    HttpApi.objects.create(step=step, url="https://{{ event.host }}/", credential=unused)
    Credential.objects.update(hosts="")

    executor = MigrationExecutor(connection)
    executor.migrate([("actions", "0012_no_secrets")])
    executor.loader.build_graph()
    executor.migrate([("actions", "0013_hosts_of_credentials")])

    used.refresh_from_db()
    assert sorted(used.hosts.splitlines()) == ["http://next.example:8080", "now.example"]
    unused.refresh_from_db()
    assert unused.hosts == ""
