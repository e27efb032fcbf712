"""CRM changes as event sources: the form, the list, and who may use them."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from apps.actions.kinds.stop import StopRun
from apps.connectors.models import Connector
from apps.engine.models import CrmTrigger
from tests.factories import AttributeFactory, ConnectorFactory, StepFactory, TagFactory, published

pytestmark = pytest.mark.django_db

ADD = reverse("admin:engine_crmtrigger_add")
LIST = reverse("admin:engine_crmtrigger_changelist")


@pytest.fixture
def connector(clock):
    return published([(StopRun, {})], name="Shop")


def typed(connector, **more):
    return {"connector": connector.pk, "what": "tag_added", "enabled": "on", **more}


def page_of(trigger, page="change"):
    return reverse(f"admin:engine_crmtrigger_{page}", args=[trigger.pk])


def flow_of(connector):
    return reverse("admin:connectors_connector_flow", args=[connector.pk])


def test_a_crm_change_is_added_from_the_flow_page(connector, operator):
    vip = TagFactory(name="vip")
    link = f"{ADD}?connector={connector.pk}"
    flow = operator.get(flow_of(connector)).text
    assert link in flow and "No CRM change" in flow
    assert f'<option value="{connector.pk}" selected' in operator.get(link).text
    answer = operator.post(link, typed(connector, tag=vip.pk), follow=True)
    assert answer.redirect_chain == [(flow_of(connector), 302)]
    assert "CRM change &quot;Tag added: vip&quot; was added." in answer.text
    made = CrmTrigger.objects.get()
    assert (made.what, made.tag, made.connector) == ("tag_added", vip, connector)
    assert f'<a href="{page_of(made)}">Tag added: vip</a>' in answer.text
    assert "A change of a contact makes an event" in answer.text


def test_only_what_concerns_the_change_is_kept(connector, operator):
    tag, plan = TagFactory(), AttributeFactory(name="Plan")
    all_filled = {"tag": tag.pk, "field": "attribute", "attribute": plan.pk}
    operator.post(ADD, typed(connector, what="contact_changed", **all_filled))
    operator.post(ADD, typed(connector, what="contact_created", **all_filled))
    operator.post(ADD, typed(connector, what="contact_changed", **{**all_filled, "field": "name"}))
    assert list(map(str, CrmTrigger.objects.all())) == [
        "Contact changed: Plan",
        "Contact created",
        "Contact changed: Name",
    ]
    assert list(CrmTrigger.objects.values_list("tag", "attribute")) == [
        (None, plan.pk),
        (None, None),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"what": "contact_changed", "field": "attribute"}, "Choose the attribute."),
        ({"what": ""}, "This field is required."),
        ({"what": "tag_eaten"}, "Select a valid choice. tag_eaten is not one"),
        ({"tag": "999"}, "Select a valid choice."),
    ],
)
def test_what_cannot_be_is_said_in_place(connector, operator, wrong, sentence):
    answer = operator.post(ADD, typed(connector, **wrong))
    assert answer.status_code == 200 and sentence in answer.text
    assert not CrmTrigger.objects.exists()


def test_the_flow_page_says_why_nothing_is_run(operator):
    draft = ConnectorFactory()
    CrmTrigger.objects.create(connector=draft, what="contact_created", enabled=False)
    shown = operator.get(flow_of(draft)).text
    assert "Nothing is run: the connector has not been published yet." in shown
    assert "Contact created</a>, switched off" in shown
    Connector.objects.update(enabled=False)
    assert "Nothing is run: the connector is switched off." in operator.get(flow_of(draft)).text


def test_before_there_is_an_event_an_example_of_it_is_offered(operator):
    draft = ConnectorFactory()
    form = reverse("admin:actions_addtag_add") + f"?step={StepFactory(connector=draft).pk}"
    assert "Attributes of an example event" not in operator.get(form).text
    CrmTrigger.objects.create(connector=draft, what="tag_added", tag=TagFactory(name="Gold"))
    shown = operator.get(form).text
    assert "Attributes of an example event" in shown
    assert 'data-attribute="event.tag"' in shown and "Gold" in shown
    assert 'data-attribute="event.contact.phone"' in shown
    test = operator.get(reverse("admin:connectors_connector_test", args=[draft.pk])).text
    assert "&quot;change&quot;: &quot;tag_added&quot;" in test


def test_what_it_asks_for_cannot_be_deleted(connector, admin_client):
    vip = TagFactory(name="vip")
    CrmTrigger.objects.create(connector=connector, what="tag_added", tag=vip)
    page = reverse("admin:crm_tag_delete", args=[vip.pk])
    shown = admin_client.post(page, {"post": "yes"}, follow=True).text
    assert "can&#x27;t be deleted: it is used by Shop › CRM change." in shown
    page = reverse("admin:connectors_connector_delete", args=[connector.pk])
    admin_client.post(page, {"post": "yes"})
    assert not CrmTrigger.objects.exists() and not Connector.objects.exists()


def test_the_list_has_all_of_them(connector, operator, django_assert_max_num_queries):
    for number in range(5):
        columns = {"what": "tag_added", "tag": TagFactory(name=f"number {number}")}
        CrmTrigger.objects.create(connector=connector, **columns)
    CrmTrigger.objects.create(connector=ConnectorFactory(), what="contact_created")
    with django_assert_max_num_queries(12):
        page = operator.get(LIST).text
    assert page.count("Tag added: number") == 5 and page.count("In force") == 5
    assert "Not published yet" in page
    assert LIST in operator.get("/admin/").text


def test_a_crm_change_is_switched_off_and_deleted(connector, operator):
    made = CrmTrigger.objects.create(connector=connector, what="contact_created")
    operator.post(page_of(made), {"what": "contact_created"})
    made.refresh_from_db()
    assert made.enabled is False
    answer = operator.post(page_of(made, "delete"), {"post": "yes"})
    assert answer["Location"] == flow_of(connector) and not CrmTrigger.objects.exists()


def test_who_may_only_look_sees_and_changes_nothing(connector, operator, client, django_user_model):
    made = CrmTrigger.objects.create(connector=connector, what="contact_created")
    person = django_user_model.objects.create_user("p", password="x", is_staff=True)
    client.force_login(person)
    for page in (LIST, ADD, page_of(made)):
        assert client.get(page).status_code == 403, page
    person.user_permissions.add(Permission.objects.get(codename="view_connector"))
    assert "Contact created" in client.get(page_of(made)).text
    assert client.get(LIST).status_code == 200
    assert client.post(page_of(made), typed(connector)).status_code == 403
    assert client.post(ADD, typed(connector)).status_code == 403
    assert ADD not in client.get(flow_of(connector)).text
