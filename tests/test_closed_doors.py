"""Doors that stood open, each tried from outside: by a post, a page, a file or a command.

Nothing here imports what closes them, so that the file can be laid into an older tree and shows
there that each of them was open. The rooms' own tests go further.
"""

import io
import os
import signal
import stat
import subprocess
import sys
import zipfile
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from openpyxl import Workbook

from apps.actions.kinds.http_api import HttpApi
from apps.connectors.exporting import export
from apps.connectors.models import Connector
from apps.connectors.publish import find_problems
from apps.core.http.guard import AllowList
from apps.core.transfer import intake
from apps.core.transfer.neutral import neutral
from apps.engine.models import Attempt
from tests.factories import ConnectorFactory, CredentialFactory, StepFactory, published
from tests.servers import serving

pytestmark = pytest.mark.django_db


@contextmanager
def within(seconds):
    """Not a measurement: what stood open took minutes."""

    def stop(*_):
        pytest.fail(f"It did not end within {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def server(settings):
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    settings.HTTP_PER_MINUTE = 0
    with serving() as made:
        yield made


def staff(*codenames, **columns):
    user = User.objects.create_user("clerk", password="Correct-horse-7", is_staff=True, **columns)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


# --- 1. a render has a budget ---------------------------------------------------------------------


def test_one_event_does_not_stall_everything(server, post, drain):
    text = "{{ event.items | uniq | size }}"
    call = (HttpApi, {"url": f"{server.url}/", "body_type": "raw", "body": text})
    other = published([(HttpApi, {"url": f"{server.url}/other"})])
    with within(40):
        post(published([call]), {"items": [{"n": n} for n in range(60_000)]})
        post(other, {})
        drain()
    assert [asked.path for asked in server.asked] == ["/other"]
    assert Attempt.objects.filter(result="failed").count() == 1


# --- 2. mapped responses --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text/html", "text/javascript", "image/svg+xml"])
def test_a_mapped_response_runs_nothing_in_our_origin(post, kind):
    step = (HttpApi, {"url": "https://x.example/"})
    made = published([step], response_body="<script>alert(1)</script>", response_type=kind)
    answer = post(made, {})
    assert answer["Content-Type"].partition(";")[0] == "text/plain"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"


# --- 3. lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "right", "lookup"),
    [
        ("connectors_connector", "view_connector", "token__regex"),
        ("connectors_connector", "view_connector", "token__startswith"),
        ("core_credential", "view_credential", "sealed__startswith"),
    ],
)
def test_a_list_is_no_oracle(page, right, lookup):
    client = staff(right)
    CredentialFactory()
    ConnectorFactory()
    address = reverse(f"admin:{page}_changelist")
    told = [client.get(address, {lookup: text}) for text in ("", "nothing-like-it")]
    assert [answer.status_code for answer in told] == [400, 400]


@pytest.mark.parametrize("value", ["(", "[", "a{2,1}"])
def test_a_broken_expression_is_no_error_of_the_server(value):
    client = staff("view_connector")
    client.raise_request_exception = False
    ConnectorFactory()
    address = reverse("admin:connectors_connector_changelist")
    assert client.get(address, {"name__regex": value}).status_code < 500


# --- 4. credentials -------------------------------------------------------------------------------


def test_a_payload_leads_no_credential_to_its_own_server(server, post, drain):
    made = CredentialFactory(secret="s3cret-value")
    made.hosts = "x.example"
    made.save()
    url = "http://{{ event.host }}:{{ event.port }}/"
    connector = published([(HttpApi, {"url": url, "credential": made})])
    host, port = server.url.removeprefix("http://").split(":")
    post(connector, {"host": host, "port": port})
    drain()
    assert "s3cret-value" not in str([asked.headers for asked in server.asked])


def test_a_clerk_chooses_no_credential_and_sends_it_nowhere(server):
    client = staff("view_connector", "change_connector")
    made = CredentialFactory(secret="s3cret-value")
    action = HttpApi.objects.create(step=StepFactory(), url="https://x.example/")
    form = {"url": f"{server.url}/", "credential": made.pk, "credential_as": "bearer"}
    form |= {"label": "", "method": "GET", "body_type": "none", "headers": "[]", "fields": "[]"}
    form |= {"on_error": "continue", "over_limit": "fail", "enabled": "on"}
    form |= {"retry_times": 5, "retry_wait": 60, "retry_then": "stop"}
    client.post(reverse("admin:actions_httpapi_test", args=[action.pk]), form)
    client.post(reverse("admin:actions_httpapi_change", args=[action.pk]), form)
    action.refresh_from_db()
    assert action.credential is None and not server.asked


@pytest.mark.parametrize(
    "columns",
    [
        {"url": "https://hooks.slack.com/services/T0A1B2C3D4/B0A1B2C3D4/abcdEFGHijklMNOPqrst"},
        {"url": "https://x.example/?v=9f86d081884c7d659a2feaa0c55ad015"},
        {"headers": [{"name": "Authorization", "value": "Bearer a1b2c3d4{{ event.n }}"}]},
        {"headers": [{"name": "X-Shop", "value": "9f86d081884c7d659a2feaa0c55ad015"}]},
        {"body_type": "json", "body": '{"password": "a1b2c3d4"}'},
        {"body_type": "raw", "body": "<key>9f86d081884c7d659a2feaa0c55ad015</key>"},
    ],
)
def test_a_secret_in_a_request_is_found_and_stays_at_home(columns):
    action = HttpApi.objects.create(
        step=StepFactory(), **{"url": "https://x.example/", "label": "Ask", **columns}
    )
    assert find_problems(action.step.connector)
    left = export(action.step.connector)
    for secret in ("abcdEFGHijklMNOPqrst", "9f86d081884c7d659a2feaa0c55ad015", "a1b2c3d4"):
        assert secret not in left


# --- 5. files -------------------------------------------------------------------------------------


def test_a_small_workbook_does_not_eat_the_machine():
    made = io.BytesIO()
    Workbook().save(made)
    bomb = io.BytesIO()
    with zipfile.ZipFile(made) as sound, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        for name in sound.namelist():
            part = sound.read(name)
            if name == "xl/styles.xml":
                styles = b'<xf numFmtId="0" fontId="0"/>' * 1_500_000
                part = part.replace(b"</cellXfs>", styles + b"</cellXfs>")
            out.writestr(name, part)
    with within(40), pytest.raises(ValueError, match=r"CSV"):
        intake.receive(SimpleUploadedFile("people.xlsx", bomb.getvalue()), "")


# --- 6. sign-in -----------------------------------------------------------------------------------


def test_passwords_are_not_guessed_at_leisure():
    User.objects.create_superuser("owner", "", "Correct-horse-7")
    form = {"username": "owner", "password": "wrong"}
    for _ in range(3):
        Client().post(reverse("admin:login"), form)
    answer = Client().post(reverse("admin:login"), {**form, "password": "Correct-horse-7"})
    assert answer.status_code != 302


@pytest.mark.parametrize("name", ["clerk", "owner"])
def test_a_clerk_who_edits_users_becomes_no_superuser(name):
    client = staff("view_user", "change_user")
    User.objects.create_superuser("owner", "", "Correct-horse-7")
    one = User.objects.get(username=name)
    form = {"username": name, "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    form |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    client.post(reverse("admin:auth_user_change", args=[one.pk]), form)
    password = {"password1": "Mine-now-12345", "password2": "Mine-now-12345"}
    page = reverse("admin:auth_user_password_change", args=[one.pk])
    client.post(page, {**password, "usable_password": "true"})
    assert not User.objects.get(username="clerk").is_superuser
    assert not User.objects.get(username="owner").check_password("Mine-now-12345")


def test_the_data_is_the_owners_alone_and_no_password_stands_on_a_command_line(tmp_path):
    data = tmp_path / "data"
    told = subprocess.run(
        [sys.executable, "manage.py", "setup"],
        env={"PATH": os.environ["PATH"], "SWITCHBOARD_DATA_DIR": str(data)},
        umask=0,
        check=False,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    for path in (data, *data.glob("*.sqlite3*"), data / "keys.json"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    usage = [sys.executable, "manage.py", "setup", "--help"]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    said = subprocess.run(usage, env=env, capture_output=True, text=True, check=True).stdout
    assert "--password PASSWORD" not in said


# --- 7. the rest ----------------------------------------------------------------------------------


def test_no_value_adds_fields_to_a_row_body_that_is_json(server, post, drain):
    headers = [{"name": "Content-Type", "value": "application/json"}]
    body = '{"name": "{{ event.name }}"}'
    call = {"url": f"{server.url}/", "headers": headers, "body_type": "raw", "body": body}
    name = 'Ana", "admin": true, "x": "'
    post(published([(HttpApi, call)]), {"name": name})
    drain()
    assert server.asked[0].json == {"name": name}


@pytest.mark.parametrize("before", [" ", "\u00a0", "\ufeff", "\u200b", "\u3000"])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_cell_is_no_formula_behind_what_nobody_sees(before, sign):
    assert neutral(f"{before}{sign}1+1").startswith("'")


def test_an_import_is_looked_at_before_it_is_there():
    connector = ConnectorFactory(name="Orders")
    HttpApi.objects.create(step=StepFactory(connector=connector), url="https://evil.example/x")
    file = SimpleUploadedFile("orders.json", export(connector).encode())
    client = staff("view_connector", "add_connector", "change_connector")
    page = reverse("admin:connectors_connector_import")
    answer = client.post(page, {"file": file, "name": "Copy", "into": "new"})
    assert "https://evil.example/x" in answer.content.decode()
    assert not Connector.objects.filter(name="Copy").exists()
