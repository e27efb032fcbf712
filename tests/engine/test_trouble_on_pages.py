"""Trouble of the installation stands on the pages, and is not taken for a mistake of ours."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils.html import escape
from psycopg import errors

from apps.actions.kinds.stop import StopRun
from apps.core.models import Notice
from apps.core.notices import current
from apps.engine import intake
from apps.engine.models import Run
from tests.factories import published
from tests.refusals import refusal

pytestmark = pytest.mark.django_db(transaction=True)


def test_that_nothing_can_be_written_is_seen_without_a_notice(is_postgresql, admin_client):
    if not is_postgresql:
        pytest.skip("what SQLite may write is seen by its workers")
    assert current() is None
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        page = admin_client.get("/admin/").content.decode()
        assert current().text.startswith("PostgreSQL is read-only")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
    assert "PostgreSQL is read-only" in page
    assert '<a href="/admin/core/notice/">Notices</a>' in page
    assert current() is None


LONG = "PostgreSQL can't read its files: look at its disk. " + "(could not read block 7) " * 9


def test_all_of_what_is_wrong_stands_on_each_page_for_whoever_is_in(admin_client, client):
    Notice.objects.create(text=LONG.strip())
    said = escape(LONG.strip())
    for page in ("/admin/", "/admin/engine/run/", "/admin/core/notice/"):
        assert said in admin_client.get(page).text
    assert said not in client.get("/admin/login/").text
    client.force_login(User.objects.create_user("mia", is_staff=True))
    shown = client.get("/admin/").text
    assert said in shown and "/admin/core/notice/" not in shown


def test_a_page_that_meets_trouble_says_so(admin_client, monkeypatch):
    def refuse(*_: object) -> None:
        raise refusal(errors.DiskFull("no space left on device"))

    monkeypatch.setattr("apps.crm.models.Tag.save", refuse)
    admin_client.raise_request_exception = False
    answer = admin_client.post("/admin/crm/tag/add/", {"name": "x"})
    assert answer.status_code == 503
    assert "Something is wrong" in answer.text and "no space left on its disk" in answer.text


def test_on_the_way_in_nobody_is_told_what_is_wrong(client, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise refusal(errors.DiskFull("no space left on device"))

    User.objects.create_user("mia", password="pw", is_staff=True)
    monkeypatch.setattr(User, "save", refuse)
    client.raise_request_exception = False
    answer = client.post("/admin/login/", {"username": "mia", "password": "pw"})
    assert answer.status_code == 503
    assert "Something is wrong" in answer.text and "disk" not in answer.text


def test_a_mistake_of_ours_is_not_blamed_on_the_installation(admin_client, monkeypatch):
    monkeypatch.setattr("apps.crm.models.Tag.save", lambda *_: 1 / 0)
    admin_client.raise_request_exception = False
    answer = admin_client.post("/admin/crm/tag/add/", {"name": "x"})
    assert answer.status_code == 500 and "a mistake in the program" in answer.text


OUTDATED = errors.FeatureNotSupported("cached plan must not change result type")


@pytest.mark.parametrize("broken", ["accept", "page"])
def test_a_web_process_connects_anew_when_a_table_was_changed_under_it(
    post, admin_client, monkeypatch, broken, is_postgresql
):
    if not is_postgresql:
        pytest.skip(
            "SQLite has no plans that outlive a change, and its tests no connection to close"
        )

    def fail(*args, **kwargs):
        raise refusal(OUTDATED)

    connector = published([(StopRun, {})])
    admin_client.raise_request_exception = False
    with monkeypatch.context() as patch:
        if broken == "accept":
            patch.setattr(intake, "accept", fail)
            assert post(connector, {}).status_code == 503
        else:
            patch.setattr(Run, "get_state_display", fail)
            post(connector, {})
            assert admin_client.get("/admin/engine/run/").status_code == 503
        assert connection.connection is None
    assert post(connector, {}).status_code == 202
