"""The vault: secrets are encrypted with versioned keys, which can be replaced at any time."""

import json
import os
import stat

import pytest
from django.core import serializers
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection

from apps.core import vault
from apps.core.models import Credential
from apps.core.vault import VaultError
from config import keys

SECRET = "It's a Secret to Everybody – 秘密"
KEYS = ["dGVz" * 10 + f"dH{letter}=" for letter in "MQUYc"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data directory whose keys file is in force."""
    monkeypatch.setenv("SWITCHBOARD_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("SWITCHBOARD_VAULT_KEYS")
    monkeypatch.delenv("SWITCHBOARD_SECRET_KEY")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return tmp_path


def content(home):
    return json.loads((home / "keys.json").read_text())


def credential(name="GitHub", secret=SECRET):
    made = Credential(name=name)
    made.set_secret(secret)
    made.save()
    return made


# --- Keys ----------------------------------------------------------------------------------------


def test_a_new_installation_has_a_key_for_secrets(home):
    keys.ensure_keys()
    assert list(keys.KeyRing().keys()) == [1]
    assert stat.S_IMODE((home / "keys.json").stat().st_mode) == 0o600
    before = content(home)
    keys.ensure_keys()
    assert content(home) == before


def test_an_older_installation_gains_a_key_and_keeps_what_it_has(home):
    path = home / "keys.json"
    path.write_text('{"secret_key": "sessions depend on it"}')
    path.chmod(0o600)
    assert keys.KeyRing().keys() == {}
    keys.ensure_keys()
    assert keys.secret_key() == "sessions depend on it"
    assert list(keys.KeyRing().keys()) == [1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(home) == ["keys.json"]


def test_without_keys_a_secret_is_refused_with_what_to_do(home):
    with pytest.raises(VaultError, match=r"Run 'manage.py setup', or set SWITCHBOARD_VAULT_KEYS"):
        vault.seal(SECRET)


@pytest.mark.parametrize(
    "text", ["no key", "1:short", "1:" + "ü" * 44, f"1:{KEYS[0]},1:{KEYS[1]}", f"x:{KEYS[0]}"]
)
def test_keys_that_cannot_be_read_stop_with_a_sentence(monkeypatch, text):
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", text)
    with pytest.raises(ImproperlyConfigured, match="SWITCHBOARD_VAULT_KEYS must look like"):
        keys.KeyRing().keys()


def test_a_damaged_keys_file_stops_with_a_sentence(home):
    (home / "keys.json").write_text('{"secret_key": "x", "vault": [{"version": 1}]}')
    with pytest.raises(ImproperlyConfigured, match="restore it from your backup"):
        keys.KeyRing().keys()


def test_the_environment_takes_the_place_of_the_file(home, monkeypatch):
    keys.ensure_keys()
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", f" 3:{KEYS[0]}, 2:{KEYS[1]} ")
    sealed, version = vault.seal(SECRET)
    assert version == 3
    assert vault.unseal(sealed, 3) == SECRET
    with pytest.raises(VaultError, match="version 1 is missing"):
        vault.unseal(sealed, 1)
    with pytest.raises(VaultError, match="not the one that encrypted"):
        vault.unseal(sealed, 2)


# --- Credentials ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_secret_is_nowhere_in_the_clear(home):
    keys.ensure_keys()
    made = credential()
    read = Credential.objects.get()
    assert read.reveal() == SECRET
    assert read.secret_set_at == made.secret_set_at
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM core_credential")
        stored = str(cursor.fetchall())
    shown = [stored, repr(read), str(read), serializers.serialize("json", [read])]
    assert not any("Everybody" in text for text in shown)


@pytest.mark.django_db
def test_equal_secrets_look_different():
    assert credential("A").sealed != credential("B").sealed


@pytest.mark.django_db
def test_rotating_encrypts_everything_with_a_new_key_and_keeps_the_old_ones(home, capsys):
    keys.ensure_keys()
    sealed = credential("A", "one").sealed
    credential("B", "two")
    call_command("rotate_keys")
    assert capsys.readouterr().out.startswith("Key 2 is in use; 2 credentials were encrypted anew.")
    a, b = Credential.objects.order_by("name")
    assert (a.key_version, b.key_version) == (2, 2)
    assert (a.reveal(), b.reveal()) == ("one", "two")
    assert vault.unseal(sealed, 1) == "one"  # a backup of the database from before
    assert stat.S_IMODE((home / "keys.json").stat().st_mode) == 0o600
    assert credential("C").key_version == 2


@pytest.mark.django_db
def test_rotating_with_keys_of_the_environment_uses_the_newest(monkeypatch, capsys):
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", f"1:{KEYS[0]}")
    credential("A", "one")
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", f"2:{KEYS[1]},1:{KEYS[0]}")
    call_command("rotate_keys")
    assert "Key 2 is in use; 1 credential was" in capsys.readouterr().out
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", f"2:{KEYS[1]}")
    assert Credential.objects.get().reveal() == "one"
    call_command("rotate_keys")
    assert "0 credentials were" in capsys.readouterr().out


@pytest.mark.django_db
def test_a_secret_that_cannot_be_read_stops_the_rotation_whole(monkeypatch):
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", f"1:{KEYS[0]}")
    credential("A", "one")
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", f"2:{KEYS[1]}")
    credential("B", "two")
    monkeypatch.setenv("SWITCHBOARD_VAULT_KEYS", f"2:{KEYS[1]},3:{KEYS[2]}")
    with pytest.raises(CommandError, match="version 1 is missing"):
        call_command("rotate_keys")
    assert list(Credential.objects.values_list("name", "key_version")) == [("A", 1), ("B", 2)]


@pytest.mark.django_db
def test_rotating_an_installation_without_any_keys_says_what_to_do(home):
    with pytest.raises(CommandError, match=r"There are no keys at .*keys.json"):
        call_command("rotate_keys")
