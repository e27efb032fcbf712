"""*Send test event*: an operator's own event, run like a posted one."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.models import Connector
from apps.crm.models import ContactTag
from apps.engine.models import Event, Run
from tests.factories import ConnectorFactory, published

pytestmark = pytest.mark.django_db

EVENT = '{"phone": "+4915112345678", "plan": "gold"}'


@pytest.fixture
def connector():
    tags = "{{ event.plan }}, {{ custom_variables.shop }}"
    return published([(AddTag, {"new_tags": tags})], mapping={"phone": "{{ event.phone }}"})


def page_of(connector):
    return reverse("admin:connectors_connector_test", args=[connector.pk])


def send(client, connector, body=EVENT, query="", **more):
    return client.post(page_of(connector), {"body": body, "query": query}, **more)


def test_it_makes_an_event_and_runs_the_published_revision(connector, drain, clock, admin_client):
    answer = send(admin_client, connector, query="?shop=berlin")
    event, run = Event.objects.get(), Run.objects.get()
    assert (event.source, event.state) == ("manual", "accepted")
    assert event.query == {"shop": "berlin"}
    assert (run.event_id, run.revision_id) == (event.pk, connector.published_id)
    assert answer["Location"] == reverse("admin:engine_run_change", args=[run.pk])
    drain()
    assert sorted(ContactTag.objects.values_list("tag__name", flat=True)) == ["berlin", "gold"]
    shown = admin_client.get(reverse("admin:engine_event_change", args=[event.pk])).text
    assert "Manual test" in shown


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "The body is not valid JSON"),
        ("[" * 300, "The body is not"),
        ('{"a": NaN}', "NaN is not a usable number"),
        ("x" * 3_000_000, "The event is larger than"),
    ],
)
def test_what_cannot_be_read_is_refused_and_stays_in_the_form(
    connector, admin_client, settings, body, sentence
):
    settings.MAX_PAYLOAD_BYTES = 1_000_000
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000
    answer = send(admin_client, connector, body, query="shop=berlin")
    assert answer.status_code == 200
    assert sentence in answer.text and 'value="shop=berlin"' in answer.text
    assert not Event.objects.exists() and not Run.objects.exists()


def test_a_connector_that_takes_no_events_says_so(connector, admin_client):
    draft = ConnectorFactory()
    sentence = "The connector has not been published yet"
    assert sentence in admin_client.get(page_of(draft)).text
    assert sentence in send(admin_client, draft).text
    Connector.objects.filter(pk=connector.pk).update(enabled=False)
    assert "The connector is switched off." in send(admin_client, connector).text
    assert not Event.objects.exists()


def test_the_form_holds_the_newest_event(connector, post, admin_client):
    assert ">{}</textarea>" in admin_client.get(page_of(connector)).text
    post(connector, {"plan": "silver"}, path="?shop=a b")
    page = admin_client.get(page_of(connector)).text
    assert "&quot;plan&quot;: &quot;silver&quot;" in page and 'value="shop=a+b"' in page


def test_only_who_may_change_connectors_may_send(connector, client, django_user_model):
    person = django_user_model.objects.create_user("p", password="x", is_staff=True)
    client.force_login(person)
    flow = reverse("admin:connectors_connector_flow", args=[connector.pk])
    person.user_permissions.add(Permission.objects.get(codename="view_connector"))
    assert send(client, connector).status_code == 403
    assert page_of(connector) not in client.get(flow).text
    person.user_permissions.add(Permission.objects.get(codename="change_connector"))
    assert page_of(connector) in client.get(flow).text
    assert send(client, connector)["Location"] == flow
    assert Run.objects.count() == 1
