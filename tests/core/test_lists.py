"""What the lists of the back office can be filtered by. All of them are walked, so that a new one
is held to it, too."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory
from django.urls import reverse

from apps.core.lists import ListAdmin
from apps.core.models import Credential
from apps.messaging.models import Message
from tests.factories import ConnectorFactory

pytestmark = pytest.mark.django_db
LOOKUPS = ["", "__exact", "__regex", "__iregex", "__startswith", "__contains", "__gt", "__in"]
LISTS = sorted(admin.site._registry.items(), key=lambda pair: pair[0]._meta.label)


def name_of(pair):
    return pair[0]._meta.label


@pytest.fixture
def viewer():
    """Somebody who may see everything and change nothing."""
    made = User.objects.create_user("viewer", is_staff=True)
    made.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(made)
    return client


@pytest.fixture
def request_of_admin(admin_user):
    request = RequestFactory().get("/")
    request.user = admin_user
    return request


@pytest.mark.parametrize("pair", LISTS, ids=name_of)
def test_a_list_is_filtered_by_what_it_offers_alone(pair, request_of_admin):
    model, page = pair
    assert isinstance(page, ListAdmin)
    filters = page.get_list_filter(request_of_admin)
    offered = {each[0] if isinstance(each, tuple) else each for each in filters}
    # A filter of our own is asked for by a name of its own, and reads its value itself.
    own = {each.parameter_name for each in filters if isinstance(each, type)}
    for field in model._meta.get_fields():
        if field.name in offered:
            continue
        names = [field.name, *([f"{field.name}__password"] if field.is_relation else [])]
        for name in names:
            for lookup in LOOKUPS:
                if f"{name}{lookup}" not in own:
                    assert not page.lookup_allowed(f"{name}{lookup}", "x", request_of_admin)
    for name in offered:
        for lookup in ("__regex", "__startswith", "__contains", "__password__startswith"):
            assert not page.lookup_allowed(f"{name}{lookup}", "x", request_of_admin)


@pytest.mark.parametrize("pair", LISTS, ids=name_of)
def test_no_address_of_a_list_is_an_error_of_the_server(pair, viewer):
    opts = pair[0]._meta
    page = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    offered = [each[0] if isinstance(each, tuple) else each for each in pair[1].list_filter]
    names = [each for each in offered if isinstance(each, str)]
    queries = [
        "q=%00",
        "q=%ED%A0%80",
        "o=x",
        "o=99",
        "p=x",
        "p=99999",
        "e=1",
        "all=",
        "_to_field=x",
    ]
    queries += [
        f"{name}{form}" for name in names for form in ("=%00", "__exact=x", "__in=,,", "__isnull=x")
    ]
    queries += [f"{name}__gte=x" for name in names] + ["nothing=1", "a%00b=1", "id__in=%00"]
    for query in queries:
        assert viewer.get(f"{page}?{query}").status_code in (200, 302, 400, 403, 404, 405), query


def test_the_address_of_a_webhook_is_not_told_letter_by_letter(viewer):
    made = ConnectorFactory()
    page = reverse("admin:connectors_connector_changelist")
    for query in (f"token__startswith={made.token[0]}", f"token={made.token}", "token__regex=."):
        assert viewer.get(f"{page}?{query}").status_code == 400
    assert viewer.get(f"{page}?q={made.token[:8]}").status_code == 200
    assert made.name not in viewer.get(f"{page}?q={made.token}").content.decode()


def test_nor_is_a_secret_nor_a_password(viewer, admin_user):
    credential = reverse("admin:core_credential_changelist")
    assert viewer.get(f"{credential}?sealed__startswith=1").status_code == 400
    assert Credential._meta.get_field("sealed")
    users = reverse("admin:auth_user_changelist")
    assert viewer.get(f"{users}?password__startswith=pbkdf2").status_code == 400
    groups = reverse("admin:auth_group_changelist")
    assert viewer.get(f"{groups}?user__password__startswith=p").status_code == 400
    messages = reverse(f"admin:{Message._meta.label_lower.replace('.', '_')}_changelist")
    assert viewer.get(f"{messages}?contact__phone__startswith=%2B49").status_code == 400
