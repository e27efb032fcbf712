"""The settings of a connector's webhook, and the credentials that they refer to."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.models import Connector
from apps.core.models import Credential
from tests.factories import CredentialFactory, published

pytestmark = pytest.mark.django_db


def connector(**columns):
    return published([(AddTag, {"new_tags": "seen"})], **columns)


def settings_page(made):
    return reverse("admin:connectors_connector_change", args=[made.pk])


def save(client, made, **changed):
    """Post the settings form as the page shows it, with some fields changed."""
    shown = client.get(settings_page(made)).context["adminform"].form
    data = {name: shown[name].value() for name in shown.fields} | changed
    data = {name: value for name, value in data.items() if value is not None and value is not False}
    counts = {"mappings-TOTAL_FORMS": 0, "mappings-INITIAL_FORMS": 0}
    return client.post(settings_page(made), {**data, **counts})


def errors(answer):
    return dict(answer.context["adminform"].form.errors.items())


# --- Credentials ---------------------------------------------------------------------------------


def test_a_secret_is_typed_in_and_never_shown(admin_client):
    add = reverse("admin:core_credential_add")
    typed = {"name": "GitHub", "kind": "secret", "secret": " open sesame \n"}
    assert admin_client.post(add, typed).status_code == 302
    made = Credential.objects.get()
    assert made.reveal() == "open sesame"
    page = reverse("admin:core_credential_change", args=[made.pk])
    pages = [page, reverse("admin:core_credential_history", args=[made.pk])]
    pages += [reverse("admin:core_credential_changelist")]
    for address in pages:
        shown = admin_client.get(address).content.decode()
        assert "GitHub" in shown
        assert "sesame" not in shown and made.sealed not in shown
    assert "Set on " in admin_client.get(page).content.decode()


def test_an_empty_secret_keeps_the_one_that_is_there(admin_client, clock):
    made = CredentialFactory(secret="s-1")
    page = reverse("admin:core_credential_change", args=[made.pk])
    clock.tick(hours=1)
    admin_client.post(page, {"name": "Renamed", "kind": "secret"})
    kept = Credential.objects.get()
    assert (kept.name, kept.reveal(), kept.secret_set_at) == ("Renamed", "s-1", made.secret_set_at)
    admin_client.post(page, {"name": "Renamed", "kind": "secret", "secret": "s-2"})
    kept.refresh_from_db()
    assert (kept.reveal(), kept.secret_set_at) == ("s-2", clock.now)


def test_what_a_credential_needs(admin_client, monkeypatch):
    add = reverse("admin:core_credential_add")
    answer = admin_client.post(add, {"name": "A", "kind": "basic"})
    assert set(errors(answer)) == {"secret", "username"}
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", "broken")
    answer = admin_client.post(add, {"name": "A", "kind": "secret", "secret": "s"})
    assert "SWITCHBOARD_VAULT_KEYS must look like" in str(errors(answer)["secret"])
    assert "sesame" not in answer.content.decode()
    assert not Credential.objects.exists()


def test_a_credential_in_use_cannot_be_deleted(admin_client):
    made = CredentialFactory(name="Hub")
    connector(name="Orders", auth="github", credential=made)
    url = reverse("admin:core_credential_delete", args=[made.pk])
    page = admin_client.post(url, {"post": "yes"}, follow=True).content.decode()
    assert "it is used by Orders." in page
    assert Credential.objects.exists()


# --- Who may post --------------------------------------------------------------------------------


def test_a_check_is_in_force_as_soon_as_it_is_saved(admin_client, post):
    made = connector()
    assert post(made, {}).status_code == 202
    kept = CredentialFactory(secret="k-1")
    fields = {"auth": "header", "credential": kept.pk, "auth_header": " X-Api-Key "}
    assert save(admin_client, made, **fields).status_code == 302
    assert post(made, {}).status_code == 401
    assert post(made, {}, HTTP_X_API_KEY="k-1").status_code == 202
    assert save(admin_client, made, auth="none", inbound_per_minute=1).status_code == 302
    assert Connector.objects.get().draft_version == made.draft_version  # nothing to publish


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"auth": "github"}, {"credential"}),
        ({"auth": "header"}, {"credential", "auth_header"}),
        ({"auth": "stripe", "auth_tolerance": 0}, {"auth_tolerance", "credential"}),
        ({"inbound_per_minute": 0}, {"inbound_per_minute"}),
        ({"dedupe_by": "header"}, {"dedupe_header"}),
        ({"dedupe_by": "path"}, {"dedupe_path"}),
        ({"dedupe_by": "path", "dedupe_path": "event.["}, {"dedupe_path"}),
    ],
)
def test_what_is_missing_is_said_beside_its_field(admin_client, fields, wrong):
    assert set(errors(save(admin_client, connector(), **fields))) == wrong


def test_a_password_check_needs_a_credential_with_a_user_name(admin_client):
    fields = {"auth": "basic", "credential": CredentialFactory().pk}
    assert set(errors(save(admin_client, connector(), **fields))) == {"credential"}


def test_a_changed_dedupe_rule_waits_for_the_publication(admin_client):
    made = connector()
    assert save(admin_client, made, dedupe_by="path", dedupe_path="event.id").status_code == 302
    assert Connector.objects.get().draft_version == made.draft_version + 1


# --- Generate New URL ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlap", "hours"), [("", 0), ("1h", 1), ("24h", 24), ("7d", 168), ("for ever", 0)]
)
def test_a_new_url_with_the_old_one_for_a_while(admin_client, post, clock, overlap, hours):
    old = connector()
    page = reverse("admin:connectors_connector_new_url", args=[old.pk])
    assert "Works for 24 hours" in admin_client.get(page).content.decode()
    admin_client.post(page, {"overlap": overlap})
    made = Connector.objects.get()
    note = (
        "The URL before this one works until"
        in admin_client.get(settings_page(made)).content.decode()
    )
    assert note is bool(hours)
    assert post(made, {}).status_code == 202
    assert post(old, {}).status_code == (202 if hours else 404)
    clock.tick(hours=hours)
    assert post(old, {}).status_code == 404
    assert LogEntry.objects.get().change_message.startswith("Generated a new URL. The old one: ")
