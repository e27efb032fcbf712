"""The flow page: what an operator sees of a draft."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from tests.factories import ChannelFactory, ConnectorFactory, StepFactory, TagFactory, published

CONDITION = {"left": "event.total", "operator": "number:greater", "right": "50"}


def flow(client, connector):
    return client.get(reverse("admin:connectors_connector_flow", args=[connector.pk]))


def draft(steps, channel, tag):
    connector = ConnectorFactory()
    for position in range(steps):
        step = StepFactory(connector=connector, position=position)
        Filter.objects.create(step=step, position=0, conditions=[CONDITION])
        tags = AddTag.objects.create(step=step, position=1)
        tags.tags.create(tag=tag)
        SendMessage.objects.create(step=step, position=2, channel=channel, text="Hi")
        Delay.objects.create(step=step, position=3)
    return connector


def queries(client, connector):
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert flow(client, connector).status_code == 200
    return len(captured)


def test_the_number_of_queries_does_not_grow_with_the_flow(operator):
    channel, tag = ChannelFactory(), TagFactory()
    small, large = draft(1, channel, tag), draft(50, channel, tag)
    flow(operator, small)
    assert queries(operator, large) == queries(operator, small)


def test_steps_and_actions_stand_in_their_order_with_their_summaries(operator):
    connector = published(
        [(Filter, {"conditions": [CONDITION]}), (AddTag, {"new_tags": "vip", "label": "Mark"})],
        [(StopRun, {"enabled": False})],
    )
    page = flow(operator, connector).content.decode()
    wanted = ["event.total greater than 50", "Mark", "Add Tag", "vip", "Stop Executing", "Off"]
    places = [page.index(text, page.index('id="flow-canvas"')) for text in wanted]
    assert places == sorted(places)


def test_an_empty_connector_says_what_a_step_is(operator):
    page = flow(operator, ConnectorFactory()).content.decode()
    assert "No steps yet" in page
    assert "Add at least one action." in page


def test_problems_are_listed_with_a_link_and_shown_at_their_action(operator):
    step = StepFactory(name="Thanks")
    tags = AddTag.objects.create(step=step)
    page = flow(operator, step.connector).content.decode()
    assert f'<a href="#action-{tags.pk}">Thanks › Add Tag</a>' in page
    assert page.count("Choose or type at least one tag.") == 2


def test_a_switched_off_action_has_no_problems(operator):
    step = StepFactory()
    AddTag.objects.create(step=step, enabled=False)
    StopRun.objects.create(step=step, position=1)
    assert "Choose or type at least one tag." not in flow(operator, step.connector).content.decode()


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({}, "Live"),
        ({"enabled": False}, "Off"),
        ({"dedupe_header": "X-Id"}, "Unpublished changes"),
        ({"published": None}, "Never published"),
    ],
)
def test_the_bar_says_what_state_the_connector_is_in(operator, change, label):
    connector = published([(StopRun, {})])
    for column, value in change.items():
        setattr(connector, column, value)
    connector.save()
    assert flow(operator, connector).context["state_label"] == label


def test_the_palette_offers_every_kind_with_its_help(operator):
    from apps.connectors import registry

    page = flow(operator, ConnectorFactory())
    tiles = [tile for _, listed in page.context["categories"] for tile in listed]
    assert [tile.title for tile in tiles] == [kind.title for kind in registry.kinds().values()]
    assert all(tile.help for tile in tiles)


def test_names_are_escaped(operator):
    step = StepFactory(name="<script>alert(1)</script>", connector__name="<b>bold</b>")
    StopRun.objects.create(step=step, label="<i>it</i>")
    page = flow(operator, step.connector).content.decode()
    for tag in ("<script>alert", "<b>bold", "<i>it"):
        assert tag not in page
