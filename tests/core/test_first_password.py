"""The first owner: a password from a file or from stdin, to be changed at the first sign-in."""

import io
import os
import stat
import subprocess
import sys

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse

from apps.core.models import FirstPassword
from tests.installation import ROOT

pytestmark = pytest.mark.django_db
GIVEN, CHOSEN = "Correct-horse-7", "Another-horse-8"


@pytest.fixture
def set_up(settings, tmp_path, monkeypatch):
    """Run the part of set-up that makes the first owner."""
    settings.DATA_DIR = tmp_path
    steps = "apps.core.management.commands.setup.call_command"
    monkeypatch.setattr(steps, lambda *args, **kwargs: None)

    def run(**options):
        call_command("setup", **options)
        return User.objects.get()

    return run


def signed_in(password=GIVEN):
    client = Client()
    page = client.post(reverse("admin:login"), {"username": "owner", "password": password})
    assert page.status_code == 302
    return client


def test_the_first_password_is_changed_before_anything_else(set_up, tmp_path):
    (tmp_path / "password").write_text(f"{GIVEN}\n")
    set_up(password_file=str(tmp_path / "password"))
    client, change = signed_in(), reverse("admin:password_change")
    for page in ("/admin/", "/admin/connectors/connector/", "/admin/auth/user/"):
        assert client.get(page)["Location"] == change
    assert client.post("/admin/crm/tag/add/", {"name": "x"})["Location"] == change
    assert "choose a password of your own" in client.get(change).content.decode()
    new = {"old_password": GIVEN, "new_password1": CHOSEN, "new_password2": CHOSEN}
    assert (
        client.post(change, {**new, "new_password1": "x", "new_password2": "x"}).status_code == 200
    )
    assert client.get("/admin/")["Location"] == change
    assert client.post(change, new).status_code == 302
    assert client.get("/admin/").status_code == 200
    assert signed_in(CHOSEN).get("/admin/").status_code == 200


def test_who_keeps_it_need_not_change_it(set_up, tmp_path):
    set_up(keep_password=True)
    password = (tmp_path / "first-login.txt").read_text().split()[1]
    assert signed_in(password).get("/admin/").status_code == 200
    assert not FirstPassword.objects.exists()


def test_others_are_asked_for_nothing(set_up):
    set_up()
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "", CHOSEN))
    assert client.get("/admin/").status_code == 200


def test_it_comes_from_a_pipe(set_up, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(GIVEN))
    assert set_up(password_file="-").check_password(GIVEN)


def test_the_first_one_is_no_new_one(set_up, tmp_path):
    (tmp_path / "password").write_text("Correct-horse-7")
    set_up(password_file=str(tmp_path / "password"))
    client = Client()
    client.post(reverse("admin:login"), {"username": "owner", "password": "Correct-horse-7"})
    page = reverse("admin:password_change")
    same = {"old_password": "Correct-horse-7"}
    same |= dict.fromkeys(("new_password1", "new_password2"), "Correct-horse-7")
    answer = client.post(page, same, follow=True)
    assert "That is the first password" in answer.content.decode()
    assert client.get(reverse("admin:index")).url == page
    other = same | dict.fromkeys(("new_password1", "new_password2"), "Battery-staple-8")
    client.post(page, other)
    assert client.get(reverse("admin:index")).status_code == 200


@pytest.mark.parametrize("written", ["short", "12345678901", "password", ""])
def test_a_weak_one_is_refused_in_words(set_up, tmp_path, written):
    (tmp_path / "password").write_text(written)
    with pytest.raises(CommandError, match="This password is"):
        set_up(password_file=str(tmp_path / "password"))
    with pytest.raises(CommandError, match="The password can't be read"):
        set_up(password_file=str(tmp_path / "missing"))
    assert not User.objects.exists()


@pytest.mark.once
def test_the_data_directory_is_private_whatever_the_umask_was(tmp_path):
    home = tmp_path / "data"
    home.mkdir(mode=0o755)
    env = {"SWITCHBOARD_DATA_DIR": str(home), "PATH": os.environ["PATH"]}

    def set_up():
        command = [sys.executable, "manage.py", "setup"]
        subprocess.run(command, cwd=ROOT, env=env, check=True, umask=0, capture_output=True)

    def open_to_others():
        return [p.name for p in (home, *home.iterdir()) if stat.S_IMODE(p.stat().st_mode) & 0o077]

    set_up()
    assert [name for name in open_to_others() if name != "static"] == []
    for path in (home, home / "switchboard.sqlite3", home / "keys.json"):
        path.chmod(0o777)
    set_up()
    assert [name for name in open_to_others() if name != "static"] == []


@pytest.mark.once
def test_keys_in_the_environment_need_no_directory_made_by_hand(tmp_path):
    home = tmp_path / "data"
    names = ("PATH", "SWITCHBOARD_SECRET_KEY", "SWITCHBOARD_VAULT_KEYS")
    env = {"SWITCHBOARD_DATA_DIR": str(home), **{name: os.environ[name] for name in names}}
    command = [sys.executable, "manage.py", "setup"]
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)
    assert (home / "switchboard.sqlite3").exists() and stat.S_IMODE(home.stat().st_mode) == 0o700
