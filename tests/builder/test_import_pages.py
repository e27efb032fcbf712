"""Import from the pages: the form, the review, and what is written after it."""

import base64
import json
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from apps.builder.links import kind_url
from apps.connectors.exporting import export
from apps.connectors.models import Action, Connector
from apps.core.models import Credential
from tests.factories import (
    ChannelFactory,
    ConnectorFactory,
    CredentialFactory,
    published,
)

pytestmark = pytest.mark.django_db
IMPORT = reverse("admin:connectors_connector_import")
HIDDEN = ("reviewed", "signature")


def said(answer):
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def send(client, text, **sent):
    return client.post(IMPORT, {"file": SimpleUploadedFile("x.json", text.encode()), **sent})


def hidden(review):
    """What the page of a review sends back when it is accepted."""
    assert review.template_name == "builder/import_review.html"
    context = review.context_data
    target = context["replaced"]
    sent = {"into": "replace", "replaced": target.pk} if target else {"into": "new"}
    return {"name": context["name"], **sent, **{name: context[name] for name in HIDDEN}}


def import_file(client, text, **sent):
    """Send a file, and accept its review."""
    return client.post(IMPORT, hidden(send(client, text, **sent)))


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


def test_the_list_leads_to_the_form(operator, newcomer, shop):
    the_list = reverse("admin:connectors_connector_changelist")
    assert f'href="{IMPORT}"' in operator.get(the_list).content.decode()
    form = operator.get(IMPORT).content.decode()
    assert 'enctype="multipart/form-data"' in form and 'value="replace"' in form
    assert 'value="replace"' not in newcomer.get(IMPORT).content.decode()


def test_a_file_makes_an_unpublished_connector(operator, shop):
    answer = import_file(operator, export(shop), name="Copy")
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
    answer = import_file(operator, file)
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
    answer = import_file(operator, export(shop), **sent)
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


# --- the review -----------------------------------------------------------------------------------


@pytest.fixture
def calling():
    """It calls a shop with a credential, and has a mapped response."""
    call = {
        "url": "https://api.example/{{ event.id }}",
        "credential": CredentialFactory(name="Shop key", kind="key", hosts="api.example"),
        "alert_emails": "ops@example.org",
    }
    return published([(HttpApi, call)], name="Calling", response_body="<b>{{ event.id }}</b>")


def test_a_file_is_shown_before_it_is_written(admin_client, calling):
    answer = send(admin_client, export(calling), name="Copy")
    page = answer.content.decode()
    for text in [
        'Import "Copy"?',
        "POST https://api.example/{{ event.id }}",
        "Shop key",
        "Key or token, sent as: Bearer token",
        "ops@example.org",
        "&lt;b&gt;{{ event.id }}&lt;/b&gt;",
        "Nothing else: the URL is the secret",
    ]:
        assert text in page
    assert Connector.objects.count() == Action.objects.count() == 1
    assert "It calls nothing outside" not in page
    assert admin_client.post(IMPORT, hidden(answer)).status_code == 302
    assert Connector.objects.get(name="Copy").steps.get().actions.count() == 1


def test_a_file_that_reaches_nothing_says_so(operator, shop):
    page = send(operator, export(shop), name="Copy").content.decode()
    assert "It calls nothing outside and writes to nobody." in page
    assert "The event's id. There is no mapped response." in page


def test_a_draft_is_shown_before_it_is_replaced(operator, shop):
    target = published([(StopRun, {})], name="Target")
    answer = send(operator, export(shop), into="replace", replaced=target.pk)
    page = answer.content.decode()
    assert 'Replace the draft of "Target"?' in page and "In force at once" not in page
    target.refresh_from_db()
    assert target.draft_version == target.published_draft
    assert target.steps.get().actions.get().kind == "stop"


def test_what_was_not_reviewed_is_shown_instead_of_written(operator, newcomer, shop):
    """Without the signature, with somebody else's, for another file, name or use of it."""
    other = ConnectorFactory(name="Other")
    sent = hidden(send(operator, export(shop), name="Copy"))
    theirs = hidden(send(newcomer, export(shop), name="Copy"))
    raw = base64.urlsafe_b64encode(export(shop).replace("seen", "else").encode()).decode()
    for change in [
        {"signature": ""},
        {"signature": "x"},
        {"signature": "ü"},
        {"signature": theirs["signature"]},
        {"reviewed": raw},
        {"name": "Another"},
        {"into": "replace", "replaced": other.pk},
    ]:
        answer = operator.post(IMPORT, {**sent, **change})
        page = answer.content.decode()
        assert answer.template_name == "builder/import_review.html"
        told = "This is not what was reviewed before."
        assert (told in page) is (change != {"signature": ""})
        assert Connector.objects.count() == 2
    assert operator.post(IMPORT, hidden(answer)).status_code == 302


def test_what_has_changed_since_the_review_is_shown_again(admin_client, calling):
    """A credential of that name was made meanwhile: nobody has accepted that it is used."""
    file = export(calling)
    calling.delete()
    Credential.objects.all().delete()
    first = send(admin_client, file)
    assert "does not exist here" in first.content.decode()
    CredentialFactory(name="Shop key", kind="key", hosts="api.example")
    second = admin_client.post(IMPORT, hidden(first))
    page = second.content.decode()
    assert "This is not what was reviewed before." in page and "sent as: Bearer token" in page
    assert not Connector.objects.exists()
    assert admin_client.post(IMPORT, hidden(second)).status_code == 302


@pytest.mark.parametrize(
    "reviewed, text",
    [
        ("", "Choose the file that was exported."),
        ("x", "Choose the file that was exported."),
        ("ü", "Choose the file that was exported."),
        ("eA==", "This is not the export of a connector: it is no JSON."),
    ],
)
def test_what_comes_back_broken_is_told_on_the_form(operator, shop, reviewed, text):
    sent = hidden(send(operator, export(shop), name="Copy"))
    answer = operator.post(IMPORT, {**sent, "reviewed": reviewed})
    assert text in answer.content.decode().partition('role="alert"')[2].partition("</p>")[0]
    assert Connector.objects.count() == 1


def test_a_name_that_was_taken_meanwhile(operator, shop):
    sent = hidden(send(operator, export(shop), name="Copy"))
    ConnectorFactory(name="Copy")
    answer = operator.post(IMPORT, sent)
    assert "A connector called &quot;Copy&quot; exists already" in answer.content.decode()


def test_the_largest_file_comes_through_its_review(operator, shop, settings):
    file = export(shop)
    file += " " * (settings.MAX_IMPORT_BYTES - len(file.encode()))
    sent = urlencode(hidden(send(operator, file, name="Copy")))
    kind = "application/x-www-form-urlencoded"
    assert operator.post(IMPORT, sent, content_type=kind).status_code == 302
    assert Connector.objects.filter(name="Copy").exists()


def test_credentials_are_for_who_may_see_them(operator, calling):
    """The operator may do everything with connectors, and nothing with credentials."""
    text = (
        "Credential &quot;Shop key&quot; was left out: whoever imported it may not use credentials."
    )
    review = send(operator, export(calling), name="Copy")
    assert text in review.content.decode()
    answer = operator.post(IMPORT, hidden(review))
    assert text in operator.get(answer.url).content.decode()
    assert HttpApi.objects.get(step__connector__name="Copy").credential is None
    user = User.objects.get(username="operator")
    user.user_permissions.add(Permission.objects.get(codename="view_credential"))
    import_file(operator, export(calling), name="Second")
    assert HttpApi.objects.get(step__connector__name="Second").credential.name == "Shop key"


def test_a_review_of_who_may_not_use_credentials_does_not_do_for_who_may(operator, calling):
    sent = hidden(send(operator, export(calling), name="Copy"))
    user = User.objects.get(username="operator")
    user.user_permissions.add(Permission.objects.get(codename="view_credential"))
    answer = operator.post(IMPORT, sent)
    assert "This is not what was reviewed before." in answer.content.decode()


def test_a_restored_revision_has_its_credentials(operator, calling):
    HttpApi.objects.update(credential=None)
    address = reverse("admin:connectors_connector_restore", args=[calling.pk, 1])
    assert operator.post(address, {"version": calling.draft_version}).status_code == 302
    assert HttpApi.objects.get().credential.name == "Shop key"
