"""Who may change accounts can't make themselves more than they are."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db
PASSWORD = "Correct-horse-7"


def account(name, *codenames, **columns):
    made = User.objects.create_user(name, password=PASSWORD, **{"is_staff": True, **columns})
    made.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return made


@pytest.fixture
def clerk():
    """May do everything with accounts and groups, and nothing else."""
    rights = [
        f"{verb}_{what}"
        for verb in ("view", "add", "change", "delete")
        for what in ("user", "group")
    ]
    return account("clerk", *rights)


@pytest.fixture
def as_clerk(clerk):
    client = Client()
    client.force_login(clerk)
    return client


def page(name, *args):
    return reverse(f"admin:auth_{name}", args=args)


def form(user, **changed):
    at = {"date_joined_0": "2026-03-02", "date_joined_1": "12:00:00"}
    return {"username": user.username, "is_active": "on", "is_staff": "on", **at, **changed}


def beyond(kind):
    if kind == "superuser":
        return account("boss", is_superuser=True)
    if kind == "switched off":
        return account("boss", is_superuser=True, is_active=False)
    if kind == "in a group":
        made = account("editor")
        group = Group.objects.create(name="Editors")
        group.permissions.set(Permission.objects.filter(codename="change_connector"))
        made.groups.add(group)
        return made
    return account("editor", "change_connector", is_active=kind != "switched off editor")


@pytest.mark.parametrize(
    "kind", ["superuser", "switched off", "in a group", "editor", "switched off editor"]
)
def test_an_account_that_may_do_more_is_not_touched(as_clerk, kind):
    other = beyond(kind)
    before = User.objects.values().get(pk=other.pk)
    assert as_clerk.get(page("user_change", other.pk)).status_code == 200  # may be looked at
    new = {"password1": "Another-horse-8", "password2": "Another-horse-8"}
    answers = [
        as_clerk.post(page("user_change", other.pk), form(other, email="clerk@evil.example")),
        as_clerk.post(f"/admin/auth/user/{other.pk}/password/", new),
        as_clerk.post(page("user_delete", other.pk), {"post": "yes"}),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    chosen = {"action": "delete_selected", "_selected_action": [other.pk], "post": "yes"}
    as_clerk.post(page("user_changelist"), chosen)
    assert User.objects.values().get(pk=other.pk) == before


def test_nobody_but_a_superuser_gives_rights(as_clerk, clerk):
    other = account("mia")
    for user in (clerk, other):
        every = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]
        wanted = form(user, is_superuser="on", user_permissions=every, first_name="New")
        assert as_clerk.post(page("user_change", user.pk), wanted).status_code == 302
        user.refresh_from_db()
        assert (user.is_superuser, user.first_name) == (False, "New")
    assert not other.user_permissions.exists()
    made = {"username": "made", "password1": PASSWORD, "password2": PASSWORD, "is_superuser": "on"}
    assert as_clerk.post(page("user_add"), {**made, "usable_password": "true"}).status_code == 302
    assert not User.objects.get(username="made").is_superuser


def test_nobody_but_a_superuser_changes_groups(as_clerk, clerk):
    group = Group.objects.create(name="Clerks")
    clerk.groups.add(group)
    wanted = {"name": "Clerks", "permissions": [Permission.objects.first().pk]}
    answers = [
        as_clerk.post(page("group_add"), {"name": "New"}),
        as_clerk.post(page("group_change", group.pk), wanted),
        as_clerk.post(page("group_delete", group.pk), {"post": "yes"}),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert as_clerk.get(page("group_change", group.pk)).status_code == 200
    assert not group.permissions.exists()


def test_a_superuser_may_do_all_of_it(admin_client):
    other = account("boss", is_superuser=True)
    group = Group.objects.create(name="Clerks")
    wanted = form(other, groups=[group.pk], email="boss@shop.example")
    assert admin_client.post(page("user_change", other.pk), wanted).status_code == 302
    other.refresh_from_db()
    assert (other.is_superuser, list(other.groups.all())) == (False, [group])
    assert admin_client.post(page("group_add"), {"name": "New"}).status_code == 302
