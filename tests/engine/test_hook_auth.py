"""Posts to connectors that ask for more than the URL."""

import base64
import hashlib
import hmac

import pytest
from django.test import Client

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.models import Connector
from apps.core.models import Credential
from apps.engine import intake
from apps.engine.models import Event, Run
from tests.factories import ConnectorFactory, published
from tests.factories import CredentialFactory as credential

pytestmark = pytest.mark.django_db

BODY = b'{"id": 7}'


def connector(**columns):
    columns.setdefault("credential", credential(secret="s-1"))
    return published([(AddTag, {"new_tags": "seen"})], **{"auth": "github", **columns})


def signed(secret="s-1", body=BODY):
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"HTTP_X_HUB_SIGNATURE_256": f"sha256={digest}"}


@pytest.fixture
def elsewhere():
    """Do something as another process would: without this process forgetting what it knows."""

    def act(change, *args):
        remembered = dict(intake._cache)
        result = change(*args)
        intake._cache.clear()
        intake._cache.update(remembered)
        return result

    return act


def test_only_what_is_signed_is_kept(post, caplog):
    made = connector()
    assert post(made, data=BODY, **signed()).status_code == 202
    refused = [
        post(made, data=BODY),
        post(made, data=BODY, **signed("s-2")),
        post(made, data=BODY + b" ", **signed()),
        post(made, data="{", **signed()),
    ]
    assert {answer.status_code for answer in refused} == {401}
    assert refused[0].json() == {
        "status": "error",
        "detail": "The header X-Hub-Signature-256 is missing.",
    }
    assert refused[0]["WWW-Authenticate"] == 'Signature realm="Switchboard"'
    assert Event.objects.count() == Run.objects.count() == 1
    lines = [r.getMessage() for r in caplog.records if r.name == "apps.engine.hooks"]
    assert len(lines) == 4
    assert all(f"connector {made.pk} is not authentic" in line for line in lines)
    assert "s-1" not in caplog.text


def test_what_is_signed_but_unreadable_is_kept_for_the_operator(post):
    made = connector()
    assert post(made, data="{", **signed(body=b"{")).status_code == 400
    assert Event.objects.get().state == "rejected"


def test_samples_are_kept_of_those_who_sign(post):
    made = ConnectorFactory(auth="github", credential=credential(secret="s-1"))
    assert post(made, data=BODY).status_code == 401
    assert not Event.objects.exists()
    assert post(made, data=BODY, **signed()).status_code == 404
    assert Event.objects.get().state == "sample"


def test_a_known_token_costs_no_look_up_when_it_signs(
    post, django_assert_num_queries, is_postgresql
):
    made = connector()
    post(made, data=BODY, **signed())
    with django_assert_num_queries(1 if is_postgresql else 5):
        assert post(made, data=BODY, **signed()).status_code == 202


def test_a_secret_replaced_elsewhere_is_in_force_at_once(post, elsewhere):
    made = connector()
    assert post(made, data=BODY, **signed()).status_code == 202

    def replace():
        kept = Credential.objects.get()
        kept.set_secret("s-2")
        kept.save()

    elsewhere(replace)
    assert post(made, data=BODY, **signed("s-1")).status_code == 401
    assert post(made, data=BODY, **signed("s-2")).status_code == 202
    elsewhere(replace)
    assert post(made, data=BODY, **signed("s-2")).status_code == 202


def test_a_check_switched_on_elsewhere_is_in_force_at_once(post, elsewhere):
    made = connector(auth="none")
    assert post(made, data=BODY).status_code == 202

    def switch_on():
        Connector.objects.update(auth="github", version=made.version + 1)

    elsewhere(switch_on)
    assert post(made, data=BODY).status_code == 401
    assert post(made, data="{").status_code == 401
    assert post(made, data=BODY, **signed()).status_code == 202
    assert Event.objects.count() == 2


def test_a_password_and_a_key(post):
    person = credential(kind="basic", username="ana", secret="open sesame")
    made = connector(auth="basic", credential=person)
    pair = base64.b64encode(b"ana:open sesame").decode()
    assert post(made, {}, HTTP_AUTHORIZATION=f"Basic {pair}").status_code == 202
    answer = post(made, {})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Basic realm="Switchboard"')
    made = connector(auth="header", auth_header="X-Api-Key")
    assert post(made, {}, HTTP_X_API_KEY="s-1").status_code == 202
    assert post(made, {}, HTTP_X_API_KEY="s-2").status_code == 401


def test_a_check_without_a_credential_lets_nobody_in(post):
    made = connector()
    Connector.objects.filter(pk=made.pk).update(credential=None)
    assert post(made, data=BODY, **signed("")).status_code == 401


def test_a_secret_that_cannot_be_read_asks_to_post_again(post, monkeypatch, caplog):
    made = connector()
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", "9:" + "dGVz" * 10 + "dHQ=")
    answer = post(made, data=BODY, **signed())
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert "version 1 is missing: restore it from your backup" in caplog.text
    assert not Event.objects.exists()


def test_meta_is_told_its_challenge(post):
    made = ConnectorFactory(auth="meta", credential=credential(secret="s-1"))
    asked = {"hub.mode": "subscribe", "hub.challenge": "<b>11</b>", "hub.verify_token": made.token}
    answer = Client().get(f"/hooks/{made.token}", asked)
    assert (answer.status_code, answer.content) == (200, b"<b>11</b>")
    assert answer["Content-Type"] == "text/plain"
    assert answer["X-Content-Type-Options"] == "nosniff"
    wrong = Client().get(f"/hooks/{made.token}", {**asked, "hub.verify_token": "x"})
    assert wrong.status_code == 401
    assert Client().get(f"/hooks/{made.token}").status_code == 401  # not signed
    assert not Event.objects.exists()
    assert post(connector(auth="meta"), data=BODY, **signed()).status_code == 202
