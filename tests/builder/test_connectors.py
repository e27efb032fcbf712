"""The list of connectors, their settings, new URLs, and deletion."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.stop import StopRun
from apps.connectors.models import Connector
from apps.engine.models import Attempt, Event, Run
from apps.engine.models import Delay as Sleep
from tests.factories import ConnectorFactory, StepFactory, published

pytestmark = pytest.mark.django_db
LIST = reverse("admin:connectors_connector_changelist")


def page_of(connector, page="change"):
    return reverse(f"admin:connectors_connector_{page}", args=[connector.pk])


def settings(connector, **changes):
    rows = connector.mappings.count()
    sent = {
        "name": connector.name,
        "description": "",
        "enabled": "on",
        "capture": "on",
        "auth": "none",
        "auth_tolerance": 300,
        "dedupe_by": "none",
        "dedupe_header": "",
        "response_body": "",
        "response_type": "application/json",
        "mappings-TOTAL_FORMS": rows,
        "mappings-INITIAL_FORMS": rows,
    }
    return {name: value for name, value in (sent | changes).items() if value is not None}


def test_the_list_tells_states_revisions_and_newest_events(operator, edit, post, clock):
    live = published([(StopRun, {})], name="Live one")
    post(live, {})
    clock.tick(hours=1)
    post(live, {})
    edit(published([(StopRun, {})], name="Changed one"), "add-step", name="More")
    ConnectorFactory(name="New one")
    published([(StopRun, {})], name="Off one", enabled=False)
    rows = {c.name: c for c in operator.get(LIST).context["cl"].result_list}
    assert rows["Live one"].last_event_at == clock.now
    assert rows["New one"].last_event_at is None
    assert rows["New one"].revision_number is None
    for state, names in {
        "live": ["Live one"],
        "changed": ["Changed one"],
        "draft": ["New one"],
        "off": ["Off one"],
    }.items():
        listed = operator.get(LIST, {"state": state}).context["cl"].result_list
        assert [c.name for c in listed] == names
    text = operator.get(LIST).content.decode()
    for label in ("Live", "Unpublished changes", "Never published", "Off"):
        assert re.search(rf">\s*{label}\s*<", text), label
    assert reverse("admin:connectors_connector_flow", args=[live.pk]) in text


def test_an_edit_that_was_undone_counts_as_live_again(operator, edit):
    connector = published([(StopRun, {})], [(StopRun, {})])
    steps = list(connector.steps.values_list("pk", flat=True))
    edit(connector, "order-steps", order=steps[::-1])
    assert operator.get(LIST, {"state": "changed"}).context["cl"].result_count == 1
    edit(connector, "order-steps", order=steps)
    assert operator.get(LIST, {"state": "live"}).context["cl"].result_count == 1


def test_the_list_takes_as_many_queries_for_many_connectors(operator):
    published([(StopRun, {})])
    operator.get(LIST)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            operator.get(LIST)
        counts.append(len(captured))
        for _ in range(8):
            published([(StopRun, {})])
    assert counts[0] == counts[1]


def test_a_new_connector_leads_to_its_empty_flow(operator):
    address = reverse("admin:connectors_connector_add")
    answer = operator.post(address, {"name": "Shop", "description": "Orders"})
    connector = Connector.objects.get()
    assert answer.url == page_of(connector, "flow")
    assert connector.description == "Orders"
    assert "now add its first step" in operator.get(answer.url).content.decode().lower()


def test_live_settings_are_in_force_at_once(operator, post):
    connector = published([(StopRun, {})])
    assert post(connector, {}).status_code == 202
    operator.post(page_of(connector), settings(connector, enabled=None))
    assert post(connector, {}).status_code == 404
    operator.post(page_of(connector), settings(connector))
    assert post(connector, {}).status_code == 202


def test_frozen_settings_wait_for_the_next_publication(operator, post):
    connector = published([(StopRun, {})])
    changes = {
        "response_body": "thanks",
        "response_type": "text/plain",
        "mappings-TOTAL_FORMS": 1,
        "mappings-0-field": "phone",
        "mappings-0-value": "{{ event.phone }}",
    }
    operator.post(page_of(connector), settings(connector, **changes))
    assert operator.get(LIST, {"state": "changed"}).context["cl"].result_count == 1
    assert post(connector, {}).json()["status"] == "ok"
    connector.refresh_from_db()
    operator.post(page_of(connector, "publish"), {"version": connector.draft_version})
    assert post(connector, {}).content == b"thanks"


def test_saving_settings_does_not_undo_what_happened_meanwhile(operator, monkeypatch):
    connector = published([(StopRun, {})])
    before = connector.token
    original = Connector.save

    def save_late(self, *args, **kwargs):
        Connector.objects.filter(pk=self.pk).update(token="new-token", draft_version=9)
        original(self, *args, **kwargs)

    monkeypatch.setattr(Connector, "save", save_late)
    operator.post(page_of(connector), settings(connector, description="Changed"))
    connector.refresh_from_db()
    assert (connector.description, connector.token) == ("Changed", "new-token")
    assert connector.token != before
    assert connector.draft_version == 9


def test_a_template_that_can_not_be_read_is_refused(operator):
    connector = ConnectorFactory()
    page = operator.post(page_of(connector), settings(connector, response_body="{{ event"))
    assert "response_body" in page.context["adminform"].form.errors


def test_a_new_url_is_asked_for_and_kills_the_old_one(operator, post):
    connector = published([(StopRun, {})])
    old = connector.token
    question = operator.get(page_of(connector, "new_url"))
    assert "Whatever is posted to it is refused with 404" in question.content.decode()
    connector.refresh_from_db()
    assert connector.token == old
    assert post(connector, {}).status_code == 202
    operator.post(page_of(connector, "new_url"))
    assert post(connector, {}).status_code == 404
    connector.refresh_from_db()
    assert post(connector, {}).status_code == 202
    assert connector.hook_url in operator.get(page_of(connector)).content.decode()


def test_the_secret_url_is_shown_to_those_only_who_may_change_it(operator, django_user_model):
    from django.contrib.auth.models import Permission

    connector = published([(StopRun, {})])
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_connector"))
    client = Client()
    client.force_login(viewer)
    for page in ("flow", "change"):
        assert connector.token in operator.get(page_of(connector, page)).content.decode()
        seen = client.get(page_of(connector, page))
        assert seen.status_code == 200
        assert connector.token not in seen.content.decode()


def test_deleting_a_connector_ends_its_runs_and_keeps_their_story(operator, post, drain, clock):
    connector = published(
        [(Delay, {"amount": 2, "identifier": "x"}), (AddTag, {"new_tags": "late"})]
    )
    other = published([(Delay, {"amount": 2})])
    for one in (connector, connector, other):
        post(one, {})
    drain()
    post(connector, {})  # this one is due, not waiting
    question = operator.get(page_of(connector, "delete")).content.decode()
    assert "runs that have not ended (2 wait now) are cancelled" in question
    operator.post(page_of(connector, "delete"), {"post": "yes"})
    assert post(connector, {}).status_code == 404
    gone = Run.objects.filter(connector=connector.pk)
    assert set(gone.values_list("state", "error")) == {("cancelled", "The connector was deleted.")}
    assert gone.count() == Event.objects.filter(connector=connector.pk).count() == 3
    assert set(Sleep.objects.values_list("connector", "state")) == {
        (connector.pk, "cancelled"),
        (other.pk, "waiting"),
    }
    clock.tick(days=1)
    drain()
    assert not Attempt.objects.filter(kind="add_tag").exists()
    assert Run.objects.get(connector=other.pk).state == "done"


def test_several_connectors_are_deleted_from_the_list(operator, post, drain, clock):
    chosen = [published([(Delay, {"amount": 2})]) for _ in range(2)]
    for connector in chosen:
        post(connector, {})
    drain()
    sent = {"action": "delete_selected", "_selected_action": [c.pk for c in chosen], "post": "yes"}
    operator.post(LIST, sent)
    assert not Connector.objects.exists()
    assert set(Run.objects.values_list("state", flat=True)) == {"cancelled"}


def test_a_connector_that_an_action_names_is_not_deleted(operator):
    used = ConnectorFactory(name="Used one")
    action = CancelDelay.objects.create(
        step=StepFactory(name="Clean up", connector__name="Shop"), label="Cancel reminder"
    )
    action.targets.create(connector=used, identifier="{{ event.id }}")
    answer = operator.post(page_of(used, "delete"), {"post": "yes"}, follow=True)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Shop › Clean up › Cancel reminder" in text
    assert Connector.objects.filter(pk=used.pk).exists()
    sent = {"action": "delete_selected", "_selected_action": [used.pk], "post": "yes"}
    assert "Cancel reminder" in operator.post(LIST, sent).content.decode()
    assert Connector.objects.filter(pk=used.pk).exists()


def test_a_connector_that_names_itself_is_deleted(operator):
    step = StepFactory()
    action = CancelDelay.objects.create(step=step)
    action.targets.create(connector=step.connector, identifier="x")
    operator.post(page_of(step.connector, "delete"), {"post": "yes"})
    assert not Connector.objects.exists()
