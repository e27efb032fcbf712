"""Export, import and restore from the pages."""

import json

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from apps.builder.links import kind_url
from apps.connectors.exporting import export
from apps.connectors.models import Action, Connector
from tests.factories import ChannelFactory, ConnectorFactory, StepFactory, published

pytestmark = pytest.mark.django_db
IMPORT = reverse("admin:connectors_connector_import")


def said(answer):
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def send(client, text, **sent):
    return client.post(IMPORT, {"file": SimpleUploadedFile("x.json", text.encode()), **sent})


def restore_url(connector, number=1):
    return reverse("admin:connectors_connector_restore", args=[connector.pk, number])


@pytest.fixture
def shop():
    return published([(AddTag, {"new_tags": "seen"})], name="Shop")


@pytest.fixture
def newcomer(db):
    """May add and look, but change nothing."""
    user = User.objects.create_user("newcomer", is_staff=True)
    wanted = ["add_connector", "view_connector"]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client = Client()
    client.force_login(user)
    return client


# --- export ---------------------------------------------------------------------------------------


def test_the_flow_page_leads_to_the_file(operator, shop):
    page = operator.get(reverse("admin:connectors_connector_flow", args=[shop.pk]))
    address = reverse("admin:connectors_connector_export", args=[shop.pk])
    assert f'href="{address}"' in page.content.decode()
    answer = operator.get(address)
    assert answer.content.decode() == export(shop)
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"] == 'attachment; filename="shop.json"'
    assert operator.post(address).status_code == 405


def test_a_revision_has_a_file_of_its_own(operator, shop):
    before = export(shop)
    AddTag.objects.update(new_tags="edited")
    address = reverse("admin:connectors_connector_export", args=[shop.pk, 1])
    answer = operator.get(address)
    assert answer.content.decode() == before
    assert "shop-revision-1.json" in answer["Content-Disposition"]
    missing = reverse("admin:connectors_connector_export", args=[shop.pk, 2])
    assert operator.get(missing).status_code == 404


# --- import ---------------------------------------------------------------------------------------


def test_the_list_leads_to_the_form(operator, newcomer, shop):
    the_list = reverse("admin:connectors_connector_changelist")
    assert f'href="{IMPORT}"' in operator.get(the_list).content.decode()
    form = operator.get(IMPORT).content.decode()
    assert 'enctype="multipart/form-data"' in form and 'value="replace"' in form
    assert 'value="replace"' not in newcomer.get(IMPORT).content.decode()


def test_a_file_makes_an_unpublished_connector(operator, shop):
    answer = send(operator, export(shop), name="Copy")
    copy = Connector.objects.get(name="Copy")
    assert answer.url == reverse("admin:connectors_connector_flow", args=[copy.pk])
    assert said(answer) == 'Connector "Copy" was imported. Look at it, then publish it.'
    page = operator.get(answer.url)
    assert (page.context["state"], page.context["problems"]) == ("draft", [])
    history = operator.get(reverse("admin:connectors_connector_history", args=[copy.pk]))
    assert "Imported from a file." in history.content.decode()


def test_what_is_not_here_stands_on_the_flow_page_until_it_is_chosen(operator):
    line = ChannelFactory(name="Old line")
    message = {"channel": line, "recipients": [{"to": "+4915112345678"}], "text": "Hi"}
    origin = published([(SendMessage, message)], name="Shop")
    file = export(origin)
    origin.delete()
    line.delete()
    answer = send(operator, file)
    text = "Channel &quot;Old line&quot; does not exist here: create it or choose another one."
    page = operator.get(answer.url).content.decode()
    assert page.count(text) >= 2 and "disabled>Publish" in page
    action = SendMessage.objects.get()
    address = kind_url(SendMessage, "change", action.pk)
    assert text in operator.get(address).content.decode()
    other = ChannelFactory(name="New line")
    sent = {
        "channel": other.pk,
        "recipients": json.dumps(action.recipients),
        "text": "Hi",
        "on_error": "continue",
        "retry_times": 5,
        "retry_wait": 60,
        "retry_then": "stop",
        "enabled": "on",
    }
    saved = operator.post(address, sent)
    assert saved.status_code == 302
    assert text not in operator.get(answer.url).content.decode()


def test_a_draft_is_replaced_by_who_may_change_it(operator, newcomer, shop):
    target = published([(StopRun, {})], name="Target")
    sent = {"into": "replace", "replaced": target.pk}
    assert send(newcomer, export(shop), **sent).status_code == 403
    assert Action.objects.filter(kind="stop").exists()
    answer = send(operator, export(shop), **sent)
    assert said(answer) == 'The draft of "Target" was replaced. Look at it, then publish it.'
    assert operator.get(answer.url).context["state"] == "changed"
    assert not Action.objects.filter(kind="stop").exists()


@pytest.mark.parametrize(
    "sent, text",
    [
        ({}, "Choose the file that was exported."),
        ({"file": "hello"}, "Choose the file that was exported."),
        ({"upload": "hello"}, "This is not the export of a connector: it is no JSON."),
        ({"upload": " " * 2_100_000}, "The file is too large: up to 2,048 KB can be imported."),
        ({"upload": "file", "into": "replace"}, "Choose the connector whose draft is replaced."),
        ({"upload": "file", "into": "replace", "replaced": "x"}, "Choose the connector whose"),
        ({"upload": "file", "into": "replace", "replaced": "999"}, "Choose the connector whose"),
        ({"upload": "file"}, "A connector called &quot;Shop&quot; exists already"),
        ({"upload": "file", "name": "x" * 101}, "has at most 100 characters"),
    ],
)
def test_what_is_wrong_stands_on_the_form(operator, shop, sent, text):
    upload = sent.pop("upload", None)
    if upload is not None:
        upload = export(shop) if upload == "file" else upload
        sent["file"] = SimpleUploadedFile("x.json", upload.encode())
    answer = operator.post(IMPORT, sent)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert text in page.partition('role="alert"')[2].partition("</p>")[0]
    assert Connector.objects.count() == 1


def test_what_was_typed_is_still_there(operator, shop):
    other = ConnectorFactory()
    sent = {"name": "Typed", "into": "replace", "replaced": other.pk}
    page = send(operator, "x", **sent).content.decode()
    assert 'value="Typed"' in page
    assert 'value="replace" checked' in page and f'value="{other.pk}" selected' in page


# --- restore --------------------------------------------------------------------------------------


def test_a_revision_is_restored_after_a_question(operator, shop):
    AddTag.objects.update(new_tags="edited")
    flow = operator.get(reverse("admin:connectors_connector_flow", args=[shop.pk]))
    assert f'href="{restore_url(shop)}"' in flow.content.decode()
    page = operator.get(restore_url(shop)).content.decode()
    assert "Restore revision 1 of Shop into the draft?" in page
    assert "changes that were never published" in page
    assert AddTag.objects.get().new_tags == "edited"
    answer = operator.post(restore_url(shop), {"version": shop.draft_version})
    assert said(answer) == "The draft is revision 1 again."
    assert AddTag.objects.get().new_tags == "seen"
    assert operator.get(answer.url).context["state"] == "live"
    history = operator.get(reverse("admin:connectors_connector_history", args=[shop.pk]))
    assert "Restored revision 1 into the draft." in history.content.decode()


def test_what_would_be_lost_is_named_only_where_it_is(operator, shop):
    assert "never published" not in operator.get(restore_url(shop)).content.decode()


@pytest.mark.parametrize("version", ["", "x", "0", "9" * 30])
def test_what_was_edited_meanwhile_is_not_lost(operator, edit, shop, version):
    edit(shop, "add-step", name="By somebody else")
    answer = operator.post(restore_url(shop), {"version": version})
    page = answer.content.decode()
    assert "changed in another tab or by somebody else. Look at it again, then restore." in page
    assert 'name="version" value="1"' in page
    assert shop.steps.count() == 2


def test_what_can_not_be_restored_is_told(operator, shop):
    document = shop.published.document
    document["steps"][0]["actions"][0]["config"]["new_tags"] = "{{ broken"
    type(shop.published).objects.filter(pk=shop.published.pk).update(document=document)
    answer = operator.post(restore_url(shop), {"version": shop.draft_version})
    assert "Not restored. Step 1, action 1 (Add Tag): Tags by name:" in answer.content.decode()
    assert AddTag.objects.get().new_tags == "seen"


def test_a_revision_that_was_never_published_is_not_found(operator):
    step = StepFactory()
    assert operator.get(restore_url(step.connector)).status_code == 404
    assert operator.post(restore_url(step.connector), {"version": 0}).status_code == 404
