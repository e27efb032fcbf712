"""Who may not use credentials gets none by importing a file that names them."""

import pytest

from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.send_message import SendMessage
from apps.connectors.exporting import export
from apps.connectors.importing import import_into, import_new, restore
from apps.connectors.publish import publish
from tests.factories import ChannelFactory, CredentialFactory, published

pytestmark = pytest.mark.django_db

LEFT_OUT = 'Credential "{}" was left out: whoever imported it may not use credentials.'


def file_of(connector):
    return export(connector).encode()


@pytest.fixture
def checked():
    """It calls with a credential, and its posts are checked with another."""
    call = {
        "url": "https://api.example/x",
        "credential": CredentialFactory(name="Shop key", kind="key", hosts="api.example"),
        "label": "Ask the shop",
    }
    numbers = [{"to": "+4915112345678"}]
    message = {"channel": ChannelFactory(name="Line"), "recipients": numbers, "text": "Hi"}
    return published(
        [(HttpApi, call), (SendMessage, message)],
        name="Shop",
        auth="header",
        auth_header="X-Key",
        credential=CredentialFactory(name="Hook key", kind="key"),
    )


def test_credentials_are_left_out_for_who_may_not_use_them(checked):
    """At home, where the file has their ids, as well as by name."""
    raw = file_of(checked)
    imported = import_new(raw, "Copy", may_use_credentials=False)
    step = checked.steps.get().name
    call = f"{step} › Ask the shop: {LEFT_OUT.format('Shop key')}"
    assert imported.unresolved == [LEFT_OUT.format("Hook key"), call]
    assert (imported.connector.auth, imported.connector.credential) == ("header", None)
    action = HttpApi.objects.get(step__connector=imported.connector)
    assert (action.credential, action.unresolved) == (None, [LEFT_OUT.format("Shop key")])


def test_neither_does_a_replaced_draft_get_them(checked):
    raw = file_of(checked)
    imported = import_into(checked, raw, may_use_credentials=False)
    assert [text.partition(": ")[2] for text in imported.unresolved] == [
        LEFT_OUT.format("Shop key")
    ]
    checked.refresh_from_db()
    assert checked.credential.name == "Hook key"  # which is in force, and not of the draft
    assert HttpApi.objects.get().credential is None


def test_everything_else_is_found_as_ever(checked):
    with_all = import_new(file_of(checked), "With")
    without = import_new(file_of(checked), "Without", may_use_credentials=False)
    assert with_all.unresolved == []
    message = SendMessage.objects.get(step__connector=without.connector)
    assert message.channel.name == "Line"


def test_a_revision_is_restored_with_its_credentials(checked):
    HttpApi.objects.update(credential=None)
    assert restore(checked, checked.published, checked.draft_version) == []
    assert HttpApi.objects.get().credential.name == "Shop key"


def test_a_restored_revision_brings_no_credential_to_who_may_not_use_them(checked):
    """Neither one that is in use no more, nor another one of its name."""
    HttpApi.objects.update(credential=None)
    checked.refresh_from_db()
    publish(checked)
    old = checked.revisions.order_by("number").first()
    checked.refresh_from_db()
    sentences = restore(checked, old, checked.draft_version, may_use_credentials=False)
    assert any(LEFT_OUT.format("Shop key") in sentence for sentence in sentences)
    assert HttpApi.objects.get().credential is None
    checked.refresh_from_db()
    restore(checked, old, checked.draft_version)
    assert HttpApi.objects.get().credential.name == "Shop key"


def test_a_files_word_that_a_secret_is_none_is_nobodys_here(checked):
    action = HttpApi.objects.get()
    action.body_type, action.body = "raw", "9f86d081884c7d659a2feaa0c55ad015"
    action.no_secrets = [one.fingerprint for one in action.exposed()]
    action.save()
    imported = import_new(export(checked).encode(), "Copy").connector
    copied = HttpApi.objects.get(step__connector=imported)
    assert (copied.no_secrets, len(copied.exposed())) == ([], 1)
