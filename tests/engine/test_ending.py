"""Very many runs end in slices: others go on between them, and a kill undoes one slice at most."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay as DelayAction
from apps.connectors import draft
from apps.connectors.models import Connector
from apps.crm.models import Tag
from apps.engine import cancel, claims, delays, jobs, turn
from apps.engine.models import Attempt, DedupeKey, Delay, Ending, Run
from apps.engine.rounds import round_of_lanes
from tests.engine.ordered import A_DAY, ANA, TAG, acted, in_order, states
from tests.engine.test_plans import assert_only_by_index, plans_of, series
from tests.factories import published

pytestmark = pytest.mark.django_db

DELETED = "The connector was deleted."


def sleeper(**columns):
    steps = [(DelayAction, {"amount": 1, "unit": "days"}), (AddTag, {"new_tags": "woken"})]
    return published(steps, **columns)


def asleep(connector, count, clock, wakes_in=86_400):
    """So many runs of the connector in their first delay."""
    runs = Run.objects.bulk_create(
        Run(
            event_id=1,
            connector_id=connector.pk,
            revision_id=connector.published_id,
            state="waiting",
            position=1,
            wake_at=clock.now,
            started_at=clock.now,
            cause="event",
        )
        for _ in range(count)
    )
    Delay.objects.bulk_create(
        Delay(
            run_id=run.pk,
            connector_id=connector.pk,
            action_uid="00000000-0000-0000-0000-000000000001",
            label="Delay",
            wake_at=clock.now + timedelta(seconds=wakes_in),
            created_at=clock.now,
        )
        for run in runs
    )
    return [run.pk for run in runs]


def delete(connector):
    with transaction.atomic():
        pk = connector.pk
        connector.delete()
        connector.pk = pk
        return cancel.cancel_open(connector, DELETED)


def slices(clock):
    """Turns of the job's lane until it is done; yields how many are cancelled after each."""
    for _ in range(1000):
        clock.tick(seconds=1)
        if not jobs.turn():
            return
        yield Run.objects.filter(state="cancelled").count()


@pytest.mark.parametrize("ask", [delete, lambda c: cancel.cancel_waiting(c, "Published anew")])
def test_thousands_end_a_slice_at_a_time(clock, ask):
    connector = sleeper()
    runs = asleep(connector, 3_000, clock)
    ending = ask(connector)
    assert (ending.state, ending.total, ending.done) == ("waiting", 3_000, 0)
    assert not Run.objects.filter(state="cancelled").exists()
    counts = list(slices(clock))
    assert counts[:3] == [cancel.SLICE, 2 * cancel.SLICE, 3 * cancel.SLICE]
    ending.refresh_from_db()
    assert (ending.state, ending.done) == ("done", 3_000)
    ended = Run.objects.filter(pk__in=runs).exclude(finished_at=None)
    assert set(ended.values_list("state", "error")) == {("cancelled", ending.reason)}
    assert Attempt.objects.filter(kind="cancel", note=ending.reason).count() == 3_000
    assert set(Delay.objects.values_list("state", flat=True)) == {"cancelled"}


def test_a_few_end_at_once_and_nothing_is_queued(clock):
    connector = sleeper()
    asleep(connector, cancel.AT_ONCE, clock)
    ending = cancel.cancel_waiting(connector, "no")
    assert (ending.pk, ending.state, ending.done) == (None, "done", cancel.AT_ONCE)
    assert not Delay.objects.filter(state="waiting").exists()


def test_runs_of_others_go_on_between_two_slices(post, clock):
    connector, other = (
        sleeper(),
        published(
            [(AddTag, {"new_tags": "{{ event.tag }}"})], mapping={"phone": "{{ event.phone }}"}
        ),
    )
    asleep(connector, 1_000, clock)
    ending = delete(connector)
    for number in range(5):
        post(other, {"phone": ANA, "tag": f"t{number}"})
        round_of_lanes({"runs", "jobs"})
        assert Tag.objects.filter(name=f"t{number}").exists()
        ending.refresh_from_db()
        # One slice, and then it rests.
        assert ending.done == cancel.SLICE * (number + 1)
        assert ending.wake_at > clock.now
        clock.tick(seconds=1)


def test_a_slice_whose_worker_died_is_undone_and_done_by_the_next(clock, monkeypatch):
    connector = sleeper()
    asleep(connector, 700, clock)
    ending = delete(connector)
    next(slices(clock))
    real = cancel._end
    with monkeypatch.context() as dying:
        dying.setattr(cancel, "_end", lambda *args: real(*args) or 1 / 0)
        clock.tick(seconds=1)
        jobs.turn()
    assert Run.objects.filter(state="cancelled").count() == cancel.SLICE
    clock.tick(minutes=1)
    assert list(slices(clock))[-1] == 700
    ending.refresh_from_db()
    assert (ending.state, ending.done) == ("done", 700)
    assert Attempt.objects.filter(kind="cancel").count() == 700


def test_a_run_of_a_deleted_connector_that_wakes_meanwhile_ends_by_itself(clock, drain):
    connector = sleeper()
    runs = asleep(connector, 700, clock, wakes_in=5)
    delete(connector)
    clock.tick(seconds=10)
    while delays.wake():
        pass
    drain()
    ended = Run.objects.filter(pk__in=runs).values_list("state", "error")
    assert set(ended) == {("cancelled", DELETED)}
    assert not Tag.objects.exists()


def test_all_of_a_deleted_connector_ends_whatever_state_it_is_in(post, drain, clock):
    connector = sleeper()
    asleep(connector, 501, clock)
    for _ in range(3):
        post(connector, {})
    held = claims.claim_batch(1)
    ending = delete(connector)
    assert list(slices(clock))[-1] == 504
    turn.work_off(held)
    assert set(Run.objects.values_list("state", flat=True)) == {"cancelled"}
    ending.refresh_from_db()
    assert ending.state == "done"


def test_a_delay_whose_run_has_ended_does_not_stay(clock):
    connector = sleeper()
    runs = asleep(connector, 600, clock)
    Run.objects.filter(pk__in=runs[:250]).update(state="done")
    Run.objects.filter(pk__in=runs[250:260]).delete()
    delete(connector)
    assert list(slices(clock))[-1] == 340
    assert set(Delay.objects.values_list("state", flat=True)) == {"cancelled"}


# --- those that waited, and no others


def test_what_falls_asleep_after_it_was_asked_for_goes_on(post, drain, clock):
    connector = sleeper()
    asleep(connector, 600, clock)
    ending = cancel.cancel_waiting(connector, "Published anew")
    clock.tick(seconds=1)
    post(connector, {})
    drain()
    assert list(slices(clock))[-1] == 600
    assert list(Run.objects.exclude(state="cancelled").values_list("state", flat=True)) == [
        "waiting"
    ]
    ending.refresh_from_db()
    assert (ending.state, ending.done) == ("done", 600)


def test_runs_that_were_held_never_go_on_and_later_ones_do(send, drain, clock, monkeypatch):
    """The end of a run wakes who is held behind it: those must not slip through."""
    monkeypatch.setattr(cancel, "AT_ONCE", 1)
    monkeypatch.setattr(cancel, "SLICE", 2)
    connector = in_order(TAG, A_DAY, TAG)
    asked = send(connector, *[ANA] * 7)
    drain()
    before = acted()
    cancel.cancel_waiting(connector, "Published anew")
    clock.tick(seconds=1)
    (later,) = send(connector, ANA)
    drain()
    for _ in slices(clock):
        drain()
    assert states(asked) == ["cancelled"] * 7
    assert acted() == [*before, later.pk, later.pk]
    assert states([later]) == ["waiting"]


# --- what it costs


def test_slices_read_by_index(clock, is_postgresql, monkeypatch):
    # Adding rows is not planned.
    monkeypatch.setattr(cancel.rows, "insert", lambda added: None)
    connector, other = sleeper(), sleeper()
    words = {
        "now": "timestamptz '2026-03-02 12:00Z'" if is_postgresql else "'2026-03-02 12:00:00'",
        "values": connection.ops.quote_name("values"),
        "uuid": "gen_random_uuid()" if is_postgresql else "lower(hex(randomblob(16)))",
    }
    runs = (
        "INSERT INTO engine_run (event_id, connector_id, revision_id, state, wake_at, started_at,"
        " position, passage, attempts, {values}, error, lease_owner, lease_epoch, cause, cause_id)"
        " SELECT n, {connector}, 1, '{state}', {now}, {now}, 0, 1, 0, '{{}}', '', '', 0, 'event', n"
        " FROM {series}"
    )
    with connection.cursor() as cursor:
        for one, state, count in [
            (connector, "waiting", 2_000),
            (connector, "done", 30_000),
            (connector, "due", 300),
            (other, "waiting", 20_000),
            (other, "due", 20_000),
        ]:
            sql = runs.format(**words, connector=one.pk, state=state, series=series(count))
            cursor.execute(sql)
        cursor.execute(
            "INSERT INTO engine_delay (run_id, connector_id, action_uid, label, identifier,"
            " wake_at, state, created_at)"
            f" SELECT id, connector_id, {words['uuid']}, 'Delay', '', wake_at,"
            " CASE state WHEN 'waiting' THEN 'waiting' ELSE 'fired' END, wake_at FROM engine_run"
        )
        cursor.execute("ANALYZE engine_run")
        cursor.execute("ANALYZE engine_delay")
    for ending in (delete(connector), cancel.cancel_waiting(other, "no")):
        read = plans_of(lambda ending=ending: cancel.end_slice(ending))
        assert_only_by_index(read, "engine_run")
        assert_only_by_index(read, "engine_delay")
        assert "engine_delay_cancel" in read
        assert ending.done == cancel.SLICE
    Delay.objects.all().delete()
    read = plans_of(lambda: cancel.end_slice(Ending(connector_id=connector.pk, which="open")))
    assert_only_by_index(read, "engine_run")
    # Either index holds runs that are due and no others.
    assert "engine_run_due" in read or "engine_run_next" in read


# --- the pages


def test_deleting_says_what_happens_and_where_it_is_seen(admin_client, clock):
    connector = sleeper(name="Shop")
    asleep(connector, 1_200, clock)
    page = reverse("admin:connectors_connector_delete", args=[connector.pk])
    answer = admin_client.post(page, {"post": "yes"}, follow=True).content.decode()
    assert not Connector.objects.exists()
    assert (
        "Shop: 1,200 runs are being cancelled. Cancellations, in the menu, shows how far that has "
        "come." in answer
    )
    next(slices(clock))
    listed = admin_client.get(reverse("admin:engine_ending_changelist")).content.decode()
    for text in ("Shop", DELETED, f"{cancel.SLICE} of 1,200", "Under way", "All that have not"):
        assert text in listed


def test_publishing_says_so_and_cancels_with_the_revision_or_not_at_all(admin_client, clock):
    connector = sleeper(name="Shop")
    asleep(connector, 1_200, clock)
    AddTag.objects.update(new_tags="other")
    draft.bump(connector.pk)
    connector.refresh_from_db()
    page = reverse("admin:connectors_connector_publish", args=[connector.pk])
    sent = {"version": connector.draft_version, "waiting": "cancel"}
    answer = admin_client.post(page, sent, follow=True).content.decode()
    assert "Revision 2 is live. 1,200 waiting runs are being cancelled." in answer
    assert list(slices(clock))[-1] == 1_200


def test_a_cancellation_that_failed_can_go_on(admin_client, clock):
    connector = sleeper()
    asleep(connector, 700, clock)
    ending = delete(connector)
    Ending.objects.update(state="failed", note="It was given up after 5 tries: no space left.")
    page = reverse("admin:engine_ending_changelist")
    assert "no space left" in admin_client.get(page).content.decode()
    sent = {"action": "go_on", "_selected_action": [ending.pk]}
    assert "Go on: 1 of 1" in admin_client.post(page, sent, follow=True).content.decode()
    assert list(slices(clock))[-1] == 700


def test_who_may_see_runs_may_see_what_ends_them(client, django_user_model):
    user = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(user)
    page = reverse("admin:engine_ending_changelist")
    assert client.get(page).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    assert client.get(page).status_code == 200


def test_deleting_leaves_what_was_seen_of_its_events_to_expire(post, clock):
    """There may be millions, each with a row of its own."""
    connector = published([(AddTag, {"new_tags": "x"})], dedupe_by="body")
    post(connector, {})
    assert DedupeKey.objects.count() == 1
    delete(connector)
    assert DedupeKey.objects.count() == 1
