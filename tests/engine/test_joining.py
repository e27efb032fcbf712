"""Merged contacts' runs are one line, and runs that are run again stand rightly in it."""

import pytest

from apps.crm.erasing import delete_contact
from apps.crm.merging import merge, undo
from apps.crm.models import Contact
from apps.engine import again, claims, jobs, joining, turn
from apps.engine.models import Attempt, Delay, Run
from tests.engine.ordered import A_DAY, ANA, BEN, TAG, acted, held_after, in_order, states
from tests.engine.test_plans import assert_only_by_index, plans_of
from tests.factories import published

pytestmark = pytest.mark.django_db

CARL = "+4915100000003"


def contact(phone):
    return Contact.objects.get(phone=phone)


def lines():
    return list(Run.objects.order_by("pk").values_list("line", flat=True))


@pytest.fixture
def two_lines(send, drain, clock):
    """Ana's run, Ben's, and one more of each: the first ones sleep, the others are held."""
    runs = send(in_order(TAG, A_DAY, TAG), ANA, BEN, ANA, BEN)
    drain()
    assert states(runs) == ["waiting"] * 4
    return runs


def merged():
    ana, ben = contact(ANA), contact(BEN)
    return merge(ben.pk, ana.pk, "olga"), ana, ben


def days(clock, drain, count):
    for _ in range(count):
        clock.tick(days=1)
        drain()


# --- merging


def test_waiting_runs_of_both_are_one_line(two_lines, drain, clock):
    first, bens, second, bens_second = two_lines
    _, ana, _ = merged()
    assert lines() == [ana.pk] * 4
    days(clock, drain, 6)
    assert states(two_lines) == ["done"] * 4
    # Both had begun. From then on one goes after the other, by their ids.
    assert acted() == [
        *[first.pk] * 2,
        *[bens.pk] * 2,
        first.pk,
        bens.pk,
        *[second.pk] * 3,
        *[bens_second.pk] * 3,
    ]
    assert not Delay.objects.filter(state="waiting").exists()


def test_new_events_of_either_stand_behind_all_of_them(two_lines, send, drain, clock):
    merged()
    new = send(two_lines[0].connector, BEN, ANA)
    drain()
    days(clock, drain, 8)
    assert states([*two_lines, *new]) == ["done"] * 6
    assert acted()[-6:] == [new[0].pk] * 3 + [new[1].pk] * 3


def test_lines_of_merges_in_a_row_end_at_the_last(two_lines, send, drain, clock):
    carls = send(two_lines[0].connector, CARL)
    drain()
    merged()
    ana, carl = contact(ANA), contact(CARL)
    merge(ana.pk, carl.pk, "olga")
    assert lines() == [carl.pk] * 5
    days(clock, drain, 8)
    assert states([*two_lines, *carls]) == ["done"] * 5


def test_lines_of_every_connector_join_and_others_stay(two_lines, send, drain, clock):
    send(in_order(TAG, A_DAY), BEN, CARL, ANA)
    drain()
    _, ana, _ = merged()
    assert lines() == [ana.pk] * 5 + [contact(CARL).pk, ana.pk]


def test_runs_stay_in_the_line_of_who_was_kept_when_the_merge_is_undone(
    two_lines, send, drain, clock
):
    made, ana, ben = merged()
    clock.tick(days=1)
    drain()
    undo(made.pk, "olga")
    assert lines() == [ana.pk] * 4
    new = send(two_lines[0].connector, BEN)
    drain()
    # Ben is somebody else again: his new run need not wait.
    assert Run.objects.get(pk=new[0].pk).line == ben.pk
    assert new[0].pk in acted()
    days(clock, drain, 6)
    assert states([*two_lines, *new]) == ["done"] * 5


def test_ended_runs_are_left_alone(two_lines, drain, clock):
    days(clock, drain, 4)
    _, ana, ben = merged()
    assert lines() == [ana.pk, ben.pk, ana.pk, ben.pk]


def test_a_worker_that_had_claimed_a_run_before_the_merge_keeps_to_the_new_line(
    two_lines, drain, clock
):
    """What it has in memory says Ben's line; in Ana's, her run comes first."""
    first, bens, *_ = two_lines
    Delay.objects.filter(run=bens.pk).update(wake_at=clock.now)
    Run.objects.filter(pk=bens.pk).update(state="due")
    Delay.objects.filter(run=bens.pk).update(state="fired")
    held = claims.claim_batch(1)
    assert [run.pk for run in held] == [bens.pk]
    merged()
    turn.work_off(held)
    assert acted().count(bens.pk) == 2  # its first turn's
    assert held_after(bens) == f"In order: after run {first.pk}"
    days(clock, drain, 6)
    assert states(two_lines) == ["done"] * 4


def test_merging_looks_for_lines_by_index(two_lines, is_postgresql):
    if is_postgresql:
        pytest.skip("A handful of rows is read without an index")
    assert_only_by_index(plans_of(lambda: joining.hold(contact(BEN).pk)), "engine_run")


# --- running again


def end_of_line(run):
    run.refresh_from_db()
    return run.state, run.line


def test_from_the_field_mapping_on_the_contact_is_looked_up_again(send, drain, clock):
    (run,) = send(in_order(TAG), ANA)
    drain()
    gone = contact(ANA)
    delete_contact(gone)
    jobs.turn()
    run.refresh_from_db()
    assert run.state == "done"
    again.start(run, again.places(run.revision_id)[0], "ana")
    assert end_of_line(run) == ("due", 0)
    drain()
    made = contact(ANA)
    assert made.pk != gone.pk
    assert end_of_line(run) == ("done", made.pk)
    assert run.contact_id == made.pk
    mapped = Attempt.objects.get(run=run.pk, passage=2, kind="field_mapping")
    assert mapped.note == "Contact created"


def test_it_then_stands_in_line_before_later_ones(send, drain, clock):
    first, second = send(in_order(TAG, A_DAY), ANA, ANA)
    drain()
    days(clock, drain, 1)
    assert states([first, second]) == ["done", "waiting"]
    first.refresh_from_db()
    third = send(first.connector, ANA)[0]
    again.start(first, again.places(first.revision_id)[0], "ana")
    drain()
    # The second has begun, so it ends first; the first goes before the third.
    assert held_after(first) == f"In order: after run {second.pk}"
    assert held_after(third) == f"In order: after run {first.pk}"
    days(clock, drain, 3)
    assert states([first, second, third]) == ["done"] * 3
    again_pass = [pk for pk in acted() if pk != second.pk]
    # Its two actions, "Run again", both once more; the third's.
    assert again_pass == [first.pk] * 5 + [third.pk] * 2


def test_a_run_that_is_run_again_after_a_merge_joins_the_line(two_lines, drain, clock):
    days(clock, drain, 4)
    assert states(two_lines) == ["done"] * 4
    bens = two_lines[1]
    _, ana, _ = merged()
    bens.refresh_from_db()
    tag = next(p for p in again.places(bens.revision_id) if p.position == 0)
    again.start(bens, tag, "ana")
    assert end_of_line(bens) == ("due", ana.pk)


def test_without_order_nothing_is_written_about_lines(send, drain, clock):
    (run,) = send(published([TAG], mapping={"phone": "{{ event.phone }}"}), ANA)
    drain()
    run.refresh_from_db()
    again.start(run, again.places(run.revision_id)[0], "ana")
    assert end_of_line(run) == ("due", None)
