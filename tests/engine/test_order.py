"""In order per contact: one run after the other, as their events were accepted."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.route_to_connector import RouteToConnector
from apps.actions.kinds.stop import StopRun
from apps.connectors.frozen import freeze
from apps.connectors.models import Connector
from apps.connectors.publish import has_unpublished_changes, publish
from apps.engine import cancel, claims, delays, group, mending, order, turn
from apps.engine.models import Attempt, Delay, Run
from apps.engine.sweep import sweep
from tests.engine.ordered import (
    A_DAY,
    ANA,
    BEN,
    MAPPING,
    TAG,
    acted,
    held_after,
    in_order,
    states,
)
from tests.factories import published

pytestmark = pytest.mark.django_db


# --- one after the other


def test_a_run_waits_until_the_one_before_it_has_ended_delays_included(send, drain, clock):
    connector = in_order(TAG, A_DAY, TAG)
    first, other, second, third = runs = send(connector, ANA, BEN, ANA, ANA)
    drain()
    assert states(runs) == ["waiting"] * 4
    assert set(acted()) == {first.pk, other.pk}
    assert held_after(second) == f"In order: after run {first.pk}"
    assert held_after(third) == f"In order: after run {second.pk}"
    clock.tick(days=1)
    drain()
    assert states(runs) == ["done", "done", "waiting", "waiting"]
    clock.tick(days=1)
    drain()
    assert states(runs) == ["done", "done", "done", "waiting"]
    clock.tick(days=1)
    drain()
    assert states(runs) == ["done"] * 4
    alone = [pk for pk in acted() if pk != other.pk]
    assert alone == [first.pk] * 3 + [second.pk] * 3 + [third.pk] * 3


def test_a_flood_for_one_contact_goes_in_order_with_linear_work(send, drain, clock):
    connector = in_order(TAG, (StopRun, {}))
    runs = send(connector, *[ANA] * 120)
    drain()
    assert acted() == [run.pk for run in runs for _ in range(2)]
    assert set(states(runs)) == {"stopped"}
    assert Delay.objects.count() == 0


def test_a_line_that_was_held_gets_up_to_speed(send, drain, clock, monkeypatch):
    connector = in_order(A_DAY, TAG)
    (first,) = send(connector, ANA)
    drain()
    # The next revision has no delay: what was held behind the first goes straight through.
    connector.steps.get().actions.filter(kind="delay").update(enabled=False)
    publish(connector)
    runs = send(connector, *[ANA] * 60)
    drain()
    assert set(states(runs)) == {"waiting"}
    taken = []
    real = group.advance_group
    counted = lambda runs, *more: taken.append(runs) or real(runs, *more)  # noqa: E731
    monkeypatch.setattr(mending, "advance_group", counted)
    monkeypatch.setattr(group, "SECONDS", 60)
    clock.tick(days=1)
    drain()
    assert set(states(runs)) == {"done"}
    assert acted() == [first.pk] * 2 + [run.pk for run in runs]
    assert len(taken) < 12


def test_runs_without_a_contact_keep_no_order(send, drain, clock):
    connector = in_order(A_DAY)
    runs = send(connector, "", "")
    drain()
    assert acted() == [run.pk for run in runs]
    assert set(Run.objects.values_list("line", flat=True)) == {None}


def test_another_connector_and_other_contacts_are_not_held(send, drain, clock):
    first, second = in_order(A_DAY), in_order(A_DAY)
    runs = [*send(first, ANA, BEN), *send(second, ANA)]
    drain()
    assert set(acted()) == {run.pk for run in runs}


def test_the_order_is_by_the_contact_that_the_field_mapping_found(send, drain, clock):
    other = (MapContact, {"phone": BEN})
    connector = in_order(other, A_DAY)
    first, second, bens = send(connector, ANA, ANA, BEN)
    drain()
    assert set(acted()) == {first.pk, bens.pk}
    assert held_after(second) == f"In order: after run {first.pk}"


def test_routed_runs_keep_order_by_their_parents_contact(post, drain, clock):
    target = in_order(A_DAY, mapping={})
    source = published([(RouteToConnector, {"connector": target})], mapping=MAPPING)
    for _ in range(2):
        post(source, {"phone": ANA})
    drain()
    first, second = Run.objects.filter(connector=target).order_by("pk")
    assert acted().count(first.pk) == 1 and second.pk not in acted()
    assert held_after(second) == f"In order: after run {first.pk}"


def test_a_connector_that_routes_to_itself_goes_on(post, drain, clock):
    connector = in_order(TAG, mapping=MAPPING)
    RouteToConnector.objects.create(
        step=connector.steps.get(), position=1, connector=connector, label="Again"
    )
    publish(connector)
    post(connector, {"phone": ANA, "tag": "x"})
    drain()
    ended = list(Run.objects.order_by("pk").values_list("state", flat=True))
    assert ended == ["done"] * 10 + ["stopped"]
    assert acted() == sorted(acted())


def test_a_delay_that_stands_first_counts_from_the_event_held_or_not(send, drain, clock):
    connector = in_order((DelayAction, {"amount": 20, "unit": "hours"}), TAG)
    first, second = send(connector, ANA, ANA)
    drain()
    clock.tick(hours=20)
    drain()
    # Its twenty hours have passed while it was held.
    assert states([first, second]) == ["done", "done"]
    notes = Attempt.objects.filter(run_id=second.pk, kind="delay").values_list("note", flat=True)
    assert list(notes) == ["The time had passed already"]


# --- however the one before ends


@pytest.fixture
def three(send, drain, clock):
    """Three runs of one contact; the first sleeps, the others are held."""
    connector = in_order(TAG, A_DAY)
    runs = send(connector, ANA, ANA, ANA)
    drain()
    return runs


def test_a_cancelled_run_lets_the_next_one_go_on(three, drain):
    first, second, third = three
    cancel.cancel_runs([first.pk], "By hand")
    drain()
    assert acted() == [first.pk] * 2 + [second.pk] * 2
    assert held_after(third) == f"In order: after run {second.pk}"


def test_so_does_a_cancelled_delay(three, drain):
    first, second, third = three
    assert delays.cancel(first.connector_id, "t0", "By identifier") == 1
    drain()
    assert acted()[2:] == [second.pk] * 2
    assert delays.cancel_one(Delay.objects.get(run=second.pk, action_uid__isnull=False), "By hand")
    drain()
    assert acted()[4:] == [third.pk] * 2


def test_a_held_run_can_be_cancelled_and_those_behind_it_go_on(three, drain, admin_client):
    first, second, third = three
    hold = Delay.objects.get(run=second.pk)
    admin_client.post(reverse("admin:engine_delay_cancel", args=[hold.pk]))
    drain()
    assert states(three) == ["waiting", "cancelled", "waiting"]
    assert held_after(third) == f"In order: after run {first.pk}"
    cancel.cancel_runs([first.pk], "By hand")
    drain()
    assert acted()[2:] == [third.pk] * 2
    assert Attempt.objects.filter(run_id=third.pk, kind="in_order").count() == 1


def test_cancelling_all_that_wait_leaves_nothing_behind(three, drain):
    assert cancel.cancel_waiting(three[0].connector, "Published anew").done == 3
    drain()
    assert states(three) == ["cancelled"] * 3
    assert not Delay.objects.filter(state="waiting").exists()


def test_an_action_may_cancel_what_is_before_its_run(post, send, drain, clock):
    ordered = in_order(A_DAY, name="Ordered")
    canceller = published(
        [(CancelDelay, {"rows": {"targets": [{"connector": ordered, "identifier": "t0"}]}})]
    )
    first, second = send(ordered, ANA, ANA)
    drain()
    post(canceller, {})
    drain()
    assert states([first]) == ["cancelled"] and acted().count(second.pk) == 1


def test_a_poisoned_run_lets_the_next_one_go_on(send, drain, clock):
    first, second = send(in_order(TAG, A_DAY), ANA, ANA)
    batch = claims.claim_batch()
    turn.work_off(batch)
    mapped = claims.claim_batch(1)
    assert [run.pk for run in mapped] == [first.pk]
    turn.work_off(claims.claim_batch())
    assert held_after(second) == f"In order: after run {first.pk}"
    mending.give_up(mapped[0])
    drain()
    assert states([first, second]) == ["failed", "waiting"]
    assert acted() == [second.pk] * 2


def test_a_run_that_cannot_be_saved_lets_the_next_one_go_on(send, drain, clock, monkeypatch):
    first, second = runs = send(in_order(TAG, (StopRun, {})), ANA, ANA)
    real = group._write

    def refused(reached, story):
        real(reached, story)
        if any(entry.run_id == first.pk and entry.kind == "stop" for entry in story.attempts):
            raise ValueError("no")

    monkeypatch.setattr(group, "_write", refused)
    drain()
    assert states(runs) == ["failed", "stopped"]
    assert acted() == [second.pk] * 2


def test_a_run_behind_one_whose_end_was_missed_is_found_by_the_sweep(three, drain):
    first, second, _ = three
    Run.objects.filter(pk=first.pk).update(state="cancelled")
    drain()
    assert second.pk not in acted()
    assert sweep()["missed"] == 1
    drain()
    assert acted()[2:] == [second.pk] * 2
    assert sweep()["missed"] == 0


def test_a_held_run_looks_again_by_itself_and_stays_held(three, drain, clock):
    clock.tick(hours=1)
    drain()
    assert [held_after(run) for run in three[1:]] == [
        f"In order: after run {three[0].pk}",
        f"In order: after run {three[1].pk}",
    ]
    assert Delay.objects.filter(action_uid=None).count() == 2


def test_a_run_that_is_opened_again_goes_first_even_if_a_later_one_has_begun(send, drain, clock):
    first, second = runs = send(in_order(A_DAY, TAG), ANA, ANA)
    drain()
    clock.tick(days=1)
    drain()
    Run.objects.filter(pk=second.pk).update(state="waiting", position=0)
    sleep = {"connector_id": second.connector_id, "label": "Delay", "action_uid": uuid4()}
    Delay.objects.create(run=second, wake_at=clock.now + timedelta(hours=1), **sleep)
    again = {"state": "due", "position": 0, "passage": 2, "wake_at": clock.now}
    Run.objects.filter(pk=first.pk).update(**again, last_executed_at=clock.now)
    drain()
    clock.tick(hours=1)
    drain()
    assert states(runs) == ["waiting", "waiting"]
    assert held_after(second) == f"In order: after run {first.pk}"
    clock.tick(days=1)
    drain()
    assert states(runs) == ["done", "done"]


# --- the option


def test_the_option_is_frozen_and_its_absence_means_off(send, drain, clock):
    connector = published([A_DAY], mapping=MAPPING)
    assert connector.published.document["in_order"] is False
    assert not has_unpublished_changes(connector)
    Connector.objects.filter(pk=connector.pk).update(in_order=True)
    connector.refresh_from_db()
    assert has_unpublished_changes(connector)
    runs = send(connector, ANA, ANA)
    drain()
    assert set(acted()) == {run.pk for run in runs}
    publish(connector)
    assert freeze(connector)["in_order"] is True
    later = send(connector, ANA, ANA)
    drain()
    assert acted().count(later[0].pk) == 1 and acted().count(later[1].pk) == 0


def test_the_option_stands_in_the_settings(admin_client):
    connector = published([(StopRun, {})])
    page = reverse("admin:connectors_connector_change", args=[connector.pk])
    assert "In order per contact" in admin_client.get(page).text


def test_other_connectors_pay_nothing(post, clock, monkeypatch):
    monkeypatch.setattr(group, "SECONDS", 60)
    post(connector := published([TAG], mapping=MAPPING), {"phone": ANA, "tag": "x"})
    touched = []
    monkeypatch.setattr(order, "_heads", touched.append)
    monkeypatch.setattr(order, "release", lambda lines: touched.append(lines) if lines else None)
    with CaptureQueriesContext(connection) as captured:
        turn.work_off(claims.claim_batch())
    assert touched == []
    assert not [q["sql"] for q in captured if "engine_delay" in q["sql"]]
    assert Run.objects.get(connector=connector).state == "done"


# --- what people see


def test_a_held_run_is_shown_in_words(three, admin_client):
    first, second, _ = three
    shown = admin_client.get(reverse("admin:engine_delay_changelist")).text
    assert f"In order: after run {first.pk}" in shown
    assert "When the runs before it have ended" in shown
    listed = admin_client.get(reverse("admin:engine_run_changelist")).text
    assert "Waits for an earlier run of its contact to end" in listed
    run = admin_client.get(reverse("admin:engine_run_change", args=[second.pk])).text
    assert f"In order: after run {first.pk}. It goes on when the runs before it have ended." in run
    assert "Sleeping until" not in run and "Waiting for an earlier run" in run
