"""Failed tasks, users, groups, and the overview."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django_q.models import Failure, OrmQ, Schedule, Success

from apps.core import clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def failure():
    return Failure.objects.create(
        id="f" * 32,
        name="blue-fox",
        func="apps.engine.sweep.sweep_expired",
        started=clock.now(),
        stopped=clock.now(),
        success=False,
        attempt_count=3,
        result="no route : Traceback (most recent call last):\n  File …\nOSError: <no route>",
    )


def test_a_failed_task_is_read_not_edited(admin_client, failure):
    listed = admin_client.get(reverse("admin:django_q_failure_changelist")).content.decode()
    assert "Sweep expired" in listed
    assert "OSError: &lt;no route&gt;" in listed
    address = reverse("admin:django_q_failure_change", args=[failure.pk])
    page = admin_client.get(address)
    assert "Traceback (most recent call last)" in page.content.decode()
    assert 'name="_save"' not in page.content.decode()
    assert admin_client.post(address, {"name": "x"}).status_code == 403
    assert admin_client.get(reverse("admin:django_q_failure_add")).status_code == 403


def test_the_queue_of_the_workers_is_no_page():
    assert not any(admin.site.is_registered(model) for model in (OrmQ, Schedule, Success))


def test_users_and_groups_can_be_made(admin_client):
    password = "correct horse battery staple"
    sent = {"username": "ana", "password1": password, "password2": password}
    answer = admin_client.post(reverse("admin:auth_user_add"), sent | {"usable_password": "true"})
    assert answer.status_code == 302
    assert User.objects.get(username="ana").check_password(password)
    assert admin_client.post(reverse("admin:auth_group_add"), {"name": "Staff"}).status_code == 302
    for page in ("user", "group"):
        address = reverse(f"admin:auth_{page}_changelist")
        assert admin_client.get(address).status_code == 200


def test_the_overview_and_the_menu_show_what_one_may_see():
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    client = Client()
    client.force_login(user)
    text = client.get(reverse("admin:index")).content.decode()
    assert text.count(reverse("admin:engine_run_changelist")) == 2
    for page in ("connectors_connector", "messaging_message", "auth_user"):
        assert reverse(f"admin:{page}_changelist") not in text
    assert reverse("admin:sandbox_phone") not in text


def test_pages_allow_no_inline_script(admin_client):
    answer = admin_client.get(reverse("admin:index"))
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert "<script>" not in answer.content.decode()


def test_an_empty_list_says_whether_it_is_new_or_narrowed(admin_client):
    page = reverse("admin:crm_contact_changelist")
    new = admin_client.get(page).content.decode()
    assert "No contacts yet" in new
    assert "Add contact" in new
    assert "Show all" not in new
    narrowed = admin_client.get(page, {"q": "nobody"}).content.decode()
    assert "No contacts found" in narrowed
    assert '<a href="?"' in narrowed
