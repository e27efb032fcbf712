"""Who may open the operators' pages."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.send_message import SendMessage
from apps.crm.models import Attribute, Contact, Tag
from apps.engine.models import Delay, Event, Run
from apps.messaging.models import Channel, Message
from tests.factories import AttributeFactory, ChannelFactory, TagFactory, published

pytestmark = pytest.mark.django_db

LISTS = {
    "engine.event": Event,
    "engine.run": Run,
    "engine.delay": Delay,
    "messaging.message": Message,
    "messaging.channel": Channel,
    "crm.contact": Contact,
    "crm.tag": Tag,
    "crm.attribute": Attribute,
}


@pytest.fixture
def pages(post, drain):
    """Every page with a row to show: URL → the permission that opens it."""
    TagFactory()
    AttributeFactory()
    message = {
        "channel": ChannelFactory(),
        "recipients": [{"to": "{{ event.to }}"}],
        "text": "Hello",
    }
    flow = [(SendMessage, message), (DelayAction, {"amount": 1})]
    post(published(flow, mapping={"phone": "{{ event.to }}"}), {"to": "+4915112345678"})
    drain()
    found = {reverse("admin:sandbox_phone"): "sandbox.view_phonemessage"}
    for name, model in LISTS.items():
        app, model_name = name.split(".")
        permission = f"{app}.view_{model_name}"
        found[reverse(f"admin:{app}_{model_name}_changelist")] = permission
        page = reverse(f"admin:{app}_{model_name}_change", args=[model.objects.get().pk])
        found[page] = permission
    return found


@pytest.fixture
def staff(django_user_model):
    return django_user_model.objects.create_user("staff", password="x", is_staff=True)


def test_nobody_sees_them_without_logging_in(pages):
    for page in pages:
        answer = Client().get(page)
        assert answer.status_code == 302, page
        assert answer["Location"].startswith(reverse("admin:login")), page


def test_staff_without_permission_is_refused(pages, staff, client):
    client.force_login(staff)
    for page in pages:
        assert client.get(page).status_code == 403, page


def test_the_view_permission_opens_each_page(pages, staff, client):
    for page, permission in pages.items():
        app, codename = permission.split(".")
        staff.user_permissions.set(
            Permission.objects.filter(content_type__app_label=app, codename=codename)
        )
        client.force_login(staff)
        assert client.get(page, follow=permission != "engine.view_delay").status_code in (200, 302)
        assert client.post(page + "x/").status_code in (302, 403, 404)


def test_the_owner_sees_all_of_them(pages, admin_client):
    for page in pages:
        assert admin_client.get(page, follow=True).status_code == 200, page


def test_nothing_that_happened_can_be_added_changed_or_deleted(pages, admin_client):
    for name in ("engine_event", "engine_run", "engine_delay", "messaging_message"):
        model = LISTS[name.replace("_", ".")]
        row = model.objects.get()
        assert admin_client.get(reverse(f"admin:{name}_add")).status_code == 403
        delete = reverse(f"admin:{name}_delete", args=[row.pk])
        assert admin_client.post(delete, {"post": "yes"}).status_code == 403
        assert model.objects.filter(pk=row.pk).exists()


def test_seeing_is_not_acting(pages, staff, client):
    views = Permission.objects.filter(codename__startswith="view_")
    staff.user_permissions.set(views)
    client.force_login(staff)
    run, delay, message = Run.objects.get(), Delay.objects.get(), Message.objects.get()
    Message.objects.update(state="unknown")
    acts = [
        reverse("admin:engine_run_cancel", args=[run.pk]),
        reverse("admin:engine_delay_cancel", args=[delay.pk]),
        reverse("admin:messaging_message_settle", args=[message.pk, "sent"]),
    ]
    for act in acts:
        assert client.post(act).status_code == 403
    for name, action in [
        ("engine_run", "cancel_selected"),
        ("engine_delay", "cancel_selected"),
        ("messaging_message", "mark_as_sent"),
    ]:
        chosen = {"action": action, "_selected_action": [1], "confirmed": 1}
        client.post(reverse(f"admin:{name}_changelist"), chosen)
    page = client.get(reverse("admin:engine_run_change", args=[run.pk])).content.decode()
    assert "Cancel run" not in page
    run.refresh_from_db()
    message.refresh_from_db()
    assert (run.state, message.state) == ("waiting", "unknown")
