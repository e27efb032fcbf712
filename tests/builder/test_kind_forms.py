"""The forms of the kinds, generated from what each kind declares."""

import json

import pytest
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from apps.builder.links import flow_url, kind_url
from apps.connectors import registry
from apps.connectors.models import Action
from apps.core import liquid
from apps.crm.models import Tag
from apps.engine.context import event_scope
from apps.messaging.models import Message
from tests.factories import ChannelFactory, ConnectorFactory, StepFactory, TagFactory

pytestmark = pytest.mark.django_db


def add_url(kind, step):
    return f"{kind_url(kind, 'add')}?step={getattr(step, 'pk', step)}"


def fields(kind, **values):
    """What the browser sends: the defaults of a new form, changed by `values`."""
    blank = kind()
    sent = {"enabled": "on", "label": "", "on_error": "continue"}
    sent |= {"retry_times": 5, "retry_wait": 60, "retry_then": "stop"}
    for field in kind._meta.local_concrete_fields:
        value = getattr(blank, field.name, None) if not field.is_relation else None
        if value is not None and not field.primary_key:
            sent[field.name] = json.dumps(value) if isinstance(value, list) else value
    for name in kind.row_sets:
        sent |= {f"{name}-TOTAL_FORMS": 0, f"{name}-INITIAL_FORMS": 0}
    return sent | values


@pytest.mark.parametrize("slug", sorted(registry.kinds()))
def test_every_kind_has_a_form_that_opens(operator, slug):
    kind = registry.kind_of(slug)
    page = operator.get(add_url(kind, StepFactory(name="Say thanks")))
    text = page.content.decode()
    assert page.status_code == 200
    assert kind.title in text
    assert kind_url(kind, "add") in page.request["PATH_INFO"]
    shown = set(page.context["adminform"].form.fields)
    assert {"label", "enabled"} <= shown
    assert ("on_error" in shown) is kind.has_on_error
    assert set(kind.editor) <= shown


@pytest.mark.parametrize("step", ["", "x", "0", "999999", "9" * 30, "-1", "1.5"])
def test_an_action_is_added_to_a_step_that_exists(operator, step):
    assert operator.get(add_url(StopRun, step)).status_code == 404
    assert operator.post(add_url(StopRun, step), fields(StopRun)).status_code == 404
    assert operator.get(kind_url(StopRun, "add")).status_code == 404
    assert not Action.objects.exists()


def test_a_saved_action_stands_at_the_end_of_its_step_and_leads_back_there(operator):
    step = StepFactory()
    for place in (0, 7):
        StopRun.objects.create(step=step, position=place)
    conditions = [{"left": "event.total", "operator": "number:greater", "right": "50"}]
    sent = fields(Filter, conditions=json.dumps(conditions))
    answer = operator.post(add_url(Filter, step), sent)
    action = step.actions.last()
    assert (action.kind, action.position) == ("filter", 8)
    assert action.summary_line == "event.total greater than 50"
    assert answer.url == flow_url(step.connector_id, action.pk)
    assert f'id="action-{action.pk}"' in operator.get(answer.url).content.decode()
    step.connector.refresh_from_db()
    assert step.connector.draft_version == 1


def test_rows_are_saved_with_their_action_and_read_in_its_summary(operator):
    step, tag, other = StepFactory(), TagFactory(name="vip"), TagFactory(name="new")
    rows = {"tags-TOTAL_FORMS": 2, "tags-0-tag": tag.pk, "tags-1-tag": other.pk}
    operator.post(add_url(AddTag, step), fields(AddTag, **rows))
    action = AddTag.objects.get()
    assert action.summary_line == "vip, new"

    first = action.tags.first()
    rows = {
        "tags-TOTAL_FORMS": 2,
        "tags-INITIAL_FORMS": 2,
        "tags-0-id": first.pk,
        "tags-0-action": action.pk,
        "tags-0-tag": tag.pk,
        "tags-0-DELETE": "on",
        "tags-1-id": action.tags.last().pk,
        "tags-1-action": action.pk,
        "tags-1-tag": other.pk,
    }
    sent = fields(AddTag, **rows, new_tags="{{ event.tag }}", label="Mark")
    operator.post(kind_url(AddTag, "change", action.pk), sent)
    action.refresh_from_db()
    assert (action.label, action.summary_line) == ("Mark", "new, {{ event.tag }}")


def test_mistakes_are_told_at_their_field_and_nothing_is_saved(operator):
    step = StepFactory()
    rows = [{"left": "event.a b", "operator": "text:is", "right": "x"}]
    page = operator.post(add_url(Filter, step), fields(Filter, conditions=json.dumps(rows)))
    assert page.status_code == 200
    assert "Row 1:" in page.context["adminform"].form.errors["conditions"][0]
    sent = fields(SendMessage, text="{{ event.name", recipients="[]")
    form = operator.post(add_url(SendMessage, step), sent).context["adminform"].form
    assert set(form.errors) == {"channel", "recipients", "text"}
    assert not Action.objects.exists()
    step.connector.refresh_from_db()
    assert step.connector.draft_version == 0


def test_what_depends_on_another_field_is_shown_with_it_only(operator):
    page = operator.get(add_url(Delay, StepFactory())).content.decode()
    assert """x-show="counts_from == &#x27;custom&#x27;\"""" in page


def test_retries_are_set_where_retry_is_chosen(operator):
    step = StepFactory()
    page = operator.get(add_url(AddTag, step)).content.decode()
    assert """x-show="on_error == &#x27;retry&#x27;\"""" in page
    assert "retry_times" not in operator.get(add_url(Delay, step)).content.decode()
    sent = fields(AddTag, new_tags="x", on_error="retry", retry_times=3, retry_wait=3600)
    form = operator.post(add_url(AddTag, step), {**sent, "retry_times": 21}).context["adminform"]
    assert set(form.form.errors) == {"retry_times"}
    operator.post(add_url(AddTag, step), sent)
    action = AddTag.objects.get()
    assert (action.on_error, action.retry_times, action.retry_wait) == ("retry", 3, 3600)
    assert action.retry_then == "stop"


def test_the_trail_leads_back_to_the_flow(operator):
    step = StepFactory(name="Say thanks", connector__name="Shop")
    action = StopRun.objects.create(step=step, label="End")
    crumbs = operator.get(kind_url(StopRun, "change", action.pk)).context["crumbs"]
    assert [crumb.title for crumb in crumbs] == ["Connectors", "Shop", "Say thanks", "End"]
    assert crumbs[1].link == flow_url(step.connector_id)


def test_attributes_of_the_newest_event_are_offered(operator, post):
    step = StepFactory()
    payload = {"order": {"id": 7, "Full name": "Ana"}, "items": [{"sku": "A-1"}], "none": {}}
    post(step.connector, payload)
    page = operator.get(add_url(StopRun, step))
    offered = {a.path: a.sample for a in page.context["event_attributes"]}
    assert offered["event.order.id"] == "7"
    assert offered['event.order["Full name"]'] == "Ana"
    assert offered["event.items[0].sku"] == "A-1"


def test_what_is_offered_leads_to_what_it_shows(operator, post):
    step = StepFactory()
    odd = ["limit", "first", "Größe in cm", '9" screen', "it's", "", "0", "a]b", "line\nbreak"]
    lost = ["{{ x }}", "nul\0", "\ud800"]
    post(step.connector, {key: {key: f"of {key}"} for key in (*odd, *lost)})
    page = operator.get(add_url(StopRun, step))
    scope = event_scope(page.context["sample_event"])
    offered = page.context["event_attributes"]
    assert [a.sample for a in offered] == [f"of {key}" for key in odd]
    assert all(liquid.evaluate(a.path, scope) == a.sample for a in offered)


def test_deleting_from_the_form_leads_back_to_the_flow(operator):
    step = StepFactory()
    action = CancelDelay.objects.create(step=step)
    action.targets.create(connector=step.connector, identifier="x")
    page = kind_url(CancelDelay, "delete", action.pk)
    assert operator.get(page).status_code == 200
    answer = operator.post(page, {"post": "yes"})
    assert answer.url == flow_url(step.connector_id)
    assert not Action.objects.exists()
    step.connector.refresh_from_db()
    assert step.connector.draft_version == 1


def test_an_action_that_is_gone_is_not_found(operator):
    for page in ("change", "delete"):
        assert operator.get(kind_url(StopRun, page, 999)).status_code in (302, 404)
    assert operator.get(reverse("admin:actions_stoprun_changelist")).status_code == 302


def test_kinds_are_on_no_menu(admin_client):
    overview = admin_client.get(reverse("admin:index"))
    listed = {model["model"] for app in overview.context["app_list"] for model in app["models"]}
    assert listed
    assert not listed & set(registry.kinds().values())


def test_a_flow_made_of_forms_runs(operator, post, drain, clock):
    channel = ChannelFactory()
    connector = ConnectorFactory()
    step = StepFactory(connector=connector)
    conditions = [{"left": "event.total", "operator": "number:greater", "right": "50"}]
    operator.post(add_url(Filter, step), fields(Filter, conditions=json.dumps(conditions)))
    tags = fields(AddTag, new_tags="vip")
    message = {"recipients": '[{"to": "{{ event.phone }}"}]', "text": "Order {{ event.id }}"}
    sent = fields(SendMessage, channel=channel.pk, **message)
    operator.post(add_url(SendMessage, step), sent)
    operator.post(add_url(AddTag, step), tags)
    connector.refresh_from_db()
    publish = reverse("admin:connectors_connector_publish", args=[connector.pk])
    operator.post(publish, {"version": connector.draft_version})
    connector.refresh_from_db()
    assert post(connector, {"id": 7, "total": 99, "phone": "+4915112345678"}).status_code == 202
    drain()
    assert [m.text for m in Message.objects.all()] == ["Order 7"]
    assert not Tag.objects.exists()  # the run has no contact to put it on
