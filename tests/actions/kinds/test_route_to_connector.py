import pytest
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.route_to_connector import RouteToConnector
from apps.connectors.models import Connector
from apps.connectors.publish import publish
from apps.crm.models import Contact, ContactTag
from apps.engine.models import Attempt, Event, Run
from tests.factories import ConnectorFactory, ContactFactory, published

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}


def routing(target, **more):
    return RouteToConnector, {"connector": target, **more}


def tagging(text):
    return AddTag, {"new_tags": text}


def tags():
    links = ContactTag.objects.values_list("contact__phone", "tag__name")
    return sorted(links)


def loop_back(connector, target):
    """Let the connector's first step route to `target`, too."""
    RouteToConnector.objects.create(step=connector.steps.get(), position=9, connector=target)
    publish(connector)


def test_the_target_runs_on_the_same_event_and_the_parent_goes_on(post, drain, clock, told):
    target = published([tagging("{{ event.plan }}, {{ custom_variables.shop }}")], name="Plans")
    source = published([routing(target), tagging("went on")], mapping=BY_PHONE)
    post(source, {**ANA, "plan": "gold"}, path="?shop=berlin")
    drain()
    parent, child = Run.objects.get(connector=source), Run.objects.get(connector=target)
    assert (parent.state, child.state) == ("done", "done")
    assert (child.event_id, child.revision_id) == (Event.objects.get().pk, target.published_id)
    assert (child.cause, child.cause_id, child.chain) == ("run", parent.pk, [source.pk])
    assert tags() == [(PHONE, "berlin"), (PHONE, "gold"), (PHONE, "went on")]
    entry = told(parent, "route_to_connector")
    assert (entry.result, entry.note) == ("done", "Routed to Plans")
    assert (entry.went_in, entry.came_out) == ({"connector": "Plans"}, {"run_id": child.pk})


def test_the_field_mapping_of_the_target_says_who_else_its_parent(happen):
    mapped = published([tagging("seller")], mapping={"phone": "{{ event.seller }}"})
    event = {**ANA, "seller": "+4915187654321"}
    happen([routing(mapped), tagging("buyer")], event=event, mapping=BY_PHONE)
    assert tags() == [(PHONE, "buyer"), ("+4915187654321", "seller")]


@pytest.mark.parametrize(
    ("seller", "note"),
    [
        (None, "The event names neither a mobile number nor an email address."),
        (
            "12",
            '"12" is not a valid mobile number: it needs the country code. '
            "The run goes on with its parent's contact.",
        ),
    ],
)
def test_a_mapping_that_finds_nobody_leaves_the_contact_of_the_parent(happen, told, seller, note):
    mapped = published([tagging("routed")], mapping={"phone": "{{ event.seller }}"})
    happen([routing(mapped)], event={**ANA, "seller": seller}, mapping=BY_PHONE)
    assert tags() == [(PHONE, "routed")]
    assert told(Run.objects.get(connector=mapped), "field_mapping").note == note


def test_the_child_does_not_wait_for_a_parent_that_sleeps(post, drain, clock):
    target = published([tagging("routed")])
    source = published([routing(target), (Delay, {"amount": 1})], mapping=BY_PHONE)
    post(source, ANA)
    drain()
    states = Run.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["waiting", "done"]
    assert tags() == [(PHONE, "routed")]


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
@pytest.mark.parametrize("why", ["has not been published yet", "is switched off"])
def test_a_target_that_takes_no_events_fails_the_action(happen, told, why, on_error, state):
    if "published" in why:
        target = ConnectorFactory(name="Plans")
    else:
        target = published([tagging("x")], name="Plans", enabled=False)
    run = happen([routing(target, on_error=on_error)], event=ANA, mapping=BY_PHONE)
    entry = told(run, "route_to_connector")
    assert (entry.result, entry.note) == ("failed", f'The connector "Plans" {why}.')
    assert (run.state, Run.objects.count()) == (state, 1)


def test_a_target_that_is_gone_fails_the_action(post, drain, clock, told):
    target = published([tagging("x")], name="Plans")
    source = published([routing(target)])
    RouteToConnector.objects.all().delete()  # from the draft, which frees the connector
    target.delete()
    post(source, ANA)
    drain()
    assert told(Run.objects.get(), "route_to_connector").note == 'Connector "Plans" was deleted'


def test_a_connector_that_routes_to_itself_is_stopped_at_the_tenth_re_entry(post, drain, clock):
    connector = published([tagging("seen")], mapping=BY_PHONE)
    loop_back(connector, connector)
    post(connector, ANA)
    drain()
    runs = list(Run.objects.order_by("pk"))
    assert [run.state for run in runs] == ["done"] * 10 + ["stopped"]
    last = runs[-1]
    assert last.error == "Loop detected: stopped after 10 rotations"
    assert last.finished_at == clock.now
    entry = Attempt.objects.get(run=last)
    assert (entry.label, entry.result) == ("Loop guard", "stopped")
    told_parent = Attempt.objects.get(run=runs[-2], kind="route_to_connector")
    assert (told_parent.result, told_parent.note) == ("failed", last.error)
    assert Connector.objects.filter(pk=connector.pk).delete()[0]


def test_two_connectors_that_route_to_each_other_are_stopped(post, drain, clock):
    first = published([tagging("first")], mapping=BY_PHONE)
    second = published([routing(first)])
    loop_back(first, second)
    post(first, ANA)
    drain()
    stopped = Run.objects.get(state="stopped")
    assert (stopped.connector_id, stopped.chain) == (first.pk, [first.pk, second.pk] * 10)
    assert Run.objects.filter(connector=first, state="done").count() == 10
    assert Run.objects.filter(connector=second, state="done").count() == 10


def test_coming_back_through_different_events_is_no_loop(post, drain, clock):
    target = published([tagging("seen")])
    source = published([routing(target)], mapping=BY_PHONE)
    for _ in range(15):
        post(source, ANA)
    drain()
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}


@pytest.mark.parametrize(("length", "state"), [(51, "done"), (52, "stopped")])
def test_a_straight_chain_is_cut_after_fifty_hops_only(post, drain, clock, length, state):
    target = published([tagging("end")], mapping=BY_PHONE)
    end = target
    for _ in range(length - 1):
        target = published([routing(target)])
    post(target, ANA)
    drain()
    last = Run.objects.get(connector=end)
    assert (last.state, Run.objects.count()) == (state, length)
    assert last.error == ("" if state == "done" else "Chain too long: stopped after 50 hops")


def test_a_turn_done_again_starts_one_run(post, drain, clock, lost_turn):
    target = published([tagging("routed")])
    source = published([routing(target)], mapping=BY_PHONE)
    post(source, ANA)
    drain()
    assert lost_turn == [True]
    assert Run.objects.filter(connector=target).count() == 1
    assert (tags(), Contact.objects.count()) == ([(PHONE, "routed")], 1)


def test_each_shape_of_data_goes_to_its_own_connector(post, drain, clock):
    orders, refunds = published([tagging("order")]), published([tagging("refund")])

    def only(topic, target):
        row = {"left": "event.topic", "operator": "text:is", "right": topic}
        return [(Filter, {"conditions": [row]}), routing(target)]

    source = published(only("order", orders), only("refund", refunds), mapping=BY_PHONE)
    post(source, {**ANA, "topic": "refund"})
    drain()
    assert tags() == [(PHONE, "refund")]


def test_the_pages_of_parent_and_child_lead_to_each_other(post, drain, clock, admin_client):
    ContactFactory(phone=PHONE, name="Ana")
    target = published([tagging("routed")], name="Plans")
    source = published([routing(target)], mapping=BY_PHONE)
    post(source, ANA)
    drain()
    parent, child = Run.objects.order_by("pk")
    page = {run: reverse("admin:engine_run_change", args=[run.pk]) for run in (parent, child)}
    assert f'href="{page[child]}">Run {child.pk}</a>' in admin_client.get(page[parent]).text
    shown = admin_client.get(page[child]).text
    assert "Routed by" in shown and f'href="{page[parent]}">Run {parent.pk}</a>' in shown
    assert "Routed by" not in admin_client.get(page[parent]).text


def test_what_is_missing_is_a_problem():
    assert RouteToConnector().problems() == ["Choose the connector to route to."]
    target = ConnectorFactory(name="Plans")
    assert RouteToConnector(connector=target).problems() == []
    assert RouteToConnector(connector=target).summary() == "To Plans"
