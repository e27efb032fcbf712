"""Editing a flow on its page: every edit names the version that it was made on."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.stop import StopRun
from apps.connectors.models import Action, Step
from apps.connectors.publish import has_unpublished_changes
from tests.factories import ConnectorFactory, StepFactory, published


@pytest.fixture
def connector(db):
    return ConnectorFactory()


def step_with(connector, count, position=0):
    step = StepFactory(connector=connector, position=position)
    actions = [StopRun.objects.create(step=step, position=place) for place in range(count)]
    return step, [action.pk for action in actions]


def order(step):
    return list(step.actions.values_list("pk", flat=True))


def names(connector):
    return list(connector.steps.values_list("name", flat=True))


def test_a_step_is_added_renamed_and_deleted_with_its_actions(connector, edit):
    answer = edit(connector, "add-step", name="  Say   thanks ")
    assert answer.status_code == 200
    assert "Say thanks" in answer.json()["html"][1]
    edit(connector, "add-step", name="Later")
    assert names(connector) == ["Say thanks", "Later"]
    step = connector.steps.get(name="Later")
    AddTag.objects.create(step=step)
    edit(connector, "rename-step", step=step.pk, name="Much later")
    assert names(connector) == ["Say thanks", "Much later"]
    edit(connector, "delete-step", step=step.pk)
    assert names(connector) == ["Say thanks"]
    assert not Action.objects.exists()


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_a_step_needs_a_name_that_fits(connector, edit, name):
    answer = edit(connector, "add-step", name=name)
    assert answer.status_code == 422
    assert "name" in answer.json()["error"]
    assert not connector.steps.exists()
    connector.refresh_from_db()
    assert connector.draft_version == 0


def test_a_connector_has_up_to_50_steps(connector, edit):
    Step.objects.bulk_create(Step(connector=connector, name=str(n), position=n) for n in range(50))
    answer = edit(connector, "add-step", name="One more")
    assert answer.status_code == 422
    assert answer.json()["error"] == "A connector can have up to 50 steps."
    assert connector.steps.count() == 50


def test_actions_are_put_in_order_by_one_update(connector, edit):
    step, ids = step_with(connector, 4)
    wanted = [ids[2], ids[0], ids[3], ids[1]]
    with CaptureQueriesContext(connection) as captured:
        answer = edit(connector, "order-actions", layout={step.pk: wanted})
    assert answer.status_code == 200
    assert order(step) == wanted
    updates = [q for q in captured if q["sql"].startswith('UPDATE "connectors_action"')]
    assert len(updates) == 1


def test_an_action_moves_to_another_step(connector, edit):
    first, ids = step_with(connector, 2)
    second, others = step_with(connector, 1, position=1)
    layout = {first.pk: [ids[1]], second.pk: [others[0], ids[0]]}
    assert edit(connector, "order-actions", layout=layout).status_code == 200
    assert (order(first), order(second)) == ([ids[1]], [others[0], ids[0]])


def test_an_order_must_name_exactly_what_there_is(connector, edit):
    step, ids = step_with(connector, 2)
    foreign, theirs = step_with(ConnectorFactory(), 1)
    for layout in (
        {step.pk: ids[:1]},
        {step.pk: [*ids, ids[0]]},
        {step.pk: [*ids, theirs[0]]},
        {foreign.pk: theirs},
        {step.pk: ids, foreign.pk: theirs},
        {step.pk: [*ids, 999_999]},
    ):
        answer = edit(connector, "order-actions", layout=layout)
        assert answer.status_code == 422, layout
        assert answer.json()["error"] == "This order doesn't match the flow. Nothing was changed."
    assert edit(connector, "order-steps", order=[step.pk, foreign.pk]).status_code == 422
    assert edit(connector, "order-steps", order=[]).status_code == 422
    connector.refresh_from_db()
    assert (order(step), connector.draft_version) == (ids, 0)


def test_reordering_steps_warns_about_filters(connector, edit):
    first, second = step_with(connector, 0)[0], step_with(connector, 0, position=1)[0]
    answer = edit(connector, "order-steps", order=[second.pk, first.pk])
    warning = "Check your filters again: the order of the steps has changed."
    assert answer.json()["message"] == warning
    assert list(connector.steps.all()) == [second, first]


def test_a_stale_tab_is_told_and_overwrites_nothing(connector, edit):
    step, ids = step_with(connector, 2)
    assert edit(connector, "add-step", name="In another tab").status_code == 200
    for name, sent in {
        "order-actions": {"layout": {step.pk: ids[::-1]}},
        "order-steps": {"order": []},
        "add-step": {"name": "Mine"},
        "rename-step": {"step": step.pk, "name": "Mine"},
        "delete-step": {"step": step.pk},
        "delete-action": {"action": ids[0]},
        "switch-action": {"action": ids[0], "enabled": False},
    }.items():
        answer = edit(connector, name, version=0, **sent)
        assert answer.status_code == 409, name
        assert "changed in another tab or by somebody else" in answer.json()["error"]
    assert order(step) == ids
    assert names(connector) == [step.name, "In another tab"]
    assert all(Action.objects.values_list("enabled", flat=True))


def test_each_edit_brings_the_version_for_the_next_one(connector, edit):
    versions = [edit(connector, "add-step", name=str(n)).json()["version"] for n in range(3)]
    assert versions == [1, 2, 3]


def test_an_action_is_switched_off_and_on_and_deleted(connector, edit):
    step, ids = step_with(connector, 2)
    assert (
        'data-switch="on"'
        in edit(connector, "switch-action", action=ids[0], enabled=False).json()["html"][1]
    )
    assert Action.objects.get(pk=ids[0]).enabled is False
    edit(connector, "switch-action", action=ids[0], enabled=True)
    assert Action.objects.get(pk=ids[0]).enabled is True
    edit(connector, "delete-action", action=ids[0])
    assert order(step) == [ids[1]]
    assert StopRun.objects.count() == 1


def test_parts_of_another_connector_are_out_of_reach(connector, edit):
    step, ids = step_with(ConnectorFactory(), 1)
    for name, sent in {
        "rename-step": {"step": step.pk, "name": "Mine"},
        "delete-step": {"step": step.pk},
        "delete-action": {"action": ids[0]},
        "switch-action": {"action": ids[0], "enabled": False},
    }.items():
        assert edit(connector, name, **sent).status_code == 404, name
    assert order(step) == ids


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"version": "x"}', '{"version": 0}', "nonsense"])
def test_a_request_that_can_not_be_read_changes_nothing(connector, operator, body):
    path = f"/admin/connectors/connector/{connector.pk}/flow/order-steps/"
    answer = operator.post(path, body, content_type="application/json")
    assert answer.status_code == 400
    connector.refresh_from_db()
    assert connector.draft_version == 0


def test_an_edit_makes_the_draft_differ_until_it_is_undone(edit):
    connector = published([(StopRun, {})], [(AddTag, {"new_tags": "vip"})])
    steps = list(connector.steps.values_list("pk", flat=True))
    answer = edit(connector, "order-steps", order=steps[::-1])
    assert "Unpublished changes" in answer.json()["html"][0]
    assert has_unpublished_changes(connector)
    answer = edit(connector, "order-steps", order=steps)
    assert ">Live<" in answer.json()["html"][0]
