"""Turns: one commit for many runs, fences, and errors that harm only the guilty."""

import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from psycopg.errors import DeadlockDetected

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.stop import StopRun
from apps.connectors.outcomes import Done
from apps.crm.models import Contact, ContactTag
from apps.engine import claims, group, mending, turn
from apps.engine.advance import Story
from apps.engine.models import Attempt, Run
from tests.factories import published

pytestmark = pytest.mark.django_db


def tagger():
    return published(
        [
            (MapContact, {"phone": "{{ event.phone }}"}),
            (AddTag, {"new_tags": "{{ event.tag }}"}),
        ]
    )


def advance(*runs):
    """One turn of these runs; returns those that it did not reach."""
    return group.advance_group([group.Claim(run) for run in runs], Story())


def post_people(post, connector, count, **event):
    for number in range(count):
        post(connector, {"phone": f"+49151{number:08d}", "tag": "x", **event})


def test_a_turn_of_many_runs_writes_them_together(post, monkeypatch):
    monkeypatch.setattr(group, "SECONDS", 60)
    post(connector := published([(StopRun, {})]), {})

    def queries(count):
        for _ in range(count):
            post(connector, {})
        batch = claims.claim_batch(100)
        with CaptureQueriesContext(connection) as captured:
            turn.work_off(batch)
        return len(captured)

    queries(1)  # loads the plan
    assert queries(1) == queries(30)
    assert Run.objects.filter(state="stopped").count() == 33
    assert Attempt.objects.count() == 33


@pytest.mark.parametrize("taken", [{"lease_epoch": F("lease_epoch") + 1}, {"lease_owner": "other"}])
def test_a_run_that_was_taken_away_is_dropped_before_anything_is_performed(post, taken):
    post_people(post, tagger(), 2)
    mine = claims.claim_batch()
    Run.objects.filter(pk=mine[0].pk).update(**taken)
    turn.work_off(mine)
    assert Contact.objects.count() == 1
    assert set(Run.objects.values_list("state", flat=True)) == {"leased", "done"}


@pytest.mark.django_db(transaction=True)
def test_claims_alone_do_not_wait_for_the_disk(post, is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite writes through for every commit.")

    def waits():
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return cursor.fetchone() == ("on",)

    post(published([(StopRun, {})]), {})
    with transaction.atomic():
        (run,) = claims.claim_batch()
        assert not waits()
    assert waits()
    with transaction.atomic():
        advance(run)
        assert waits()
    run.refresh_from_db()
    assert run.state == "stopped"


def test_a_turn_that_runs_out_of_time_goes_on_with_the_rest(post, monkeypatch):
    monkeypatch.setattr(group, "SECONDS", 0.0)
    post_people(post, tagger(), 3)
    batch = claims.claim_batch()
    assert len(advance(*batch)) == 2
    turn.work_off(Run.objects.filter(state="leased"))
    assert Run.objects.filter(state="done").count() == 3


def test_a_deadlock_is_nobodys_guilt(post, drain, monkeypatch):
    post_people(post, tagger(), 5)
    real, broken = group._write, iter([True, True])

    def deadlocked(*arguments):
        real(*arguments)
        if next(broken, False):
            raise OperationalError("deadlock detected") from DeadlockDetected()

    monkeypatch.setattr(group, "_write", deadlocked)
    monkeypatch.setattr(mending, "sleep", lambda seconds: None)
    drain()
    assert Run.objects.filter(state="done").count() == 5
    assert ContactTag.objects.count() == Contact.objects.count() == 5
    assert Attempt.objects.count() == 10


def test_of_a_broken_turn_only_the_guilty_run_fails(post, drain, monkeypatch):
    connector = tagger()
    post_people(post, connector, 3)
    post(connector, {"phone": "+4915199999999", "tag": "guilty"})
    real = group._write

    def refused(mine, story):
        real(mine, story)
        if any("guilty" in str(entry.went_in) for entry in story.attempts):
            raise DataError("value too long\nmore")

    monkeypatch.setattr(group, "_write", refused)
    drain()
    assert Run.objects.filter(state="done").count() == 3
    failed = Run.objects.get(state="failed")
    assert failed.error == "The run could not be saved: value too long"
    assert not Contact.objects.filter(phone="+4915199999999").exists()


def test_a_kind_that_breaks_fails_alone_with_a_sentence(post, drain, monkeypatch):
    connector = tagger()
    post_people(post, connector, 1)
    monkeypatch.setattr(AddTag, "perform", lambda self, run: 1 / 0)
    drain()
    failed = Attempt.objects.get(kind="add_tag")
    assert failed.result == "failed"
    assert failed.note.startswith("The action broke (ZeroDivisionError)")
    assert Run.objects.get().state == "done"


def test_a_database_error_of_one_action_leaves_the_others(post, drain, monkeypatch):
    connector = tagger()
    post_people(post, connector, 2)
    real = AddTag.perform

    def refused(self, run):
        if run.contact.phone.endswith("1"):
            Contact.objects.create(phone=run.contact.phone)
        return real(self, run)

    monkeypatch.setattr(AddTag, "perform", refused)
    drain()
    assert Run.objects.filter(state="done").count() == 2
    assert Attempt.objects.filter(kind="add_tag", result="done").count() == 1
    note = Attempt.objects.get(kind="add_tag", result="failed").note
    assert note.startswith("The database refused it")
    assert ContactTag.objects.count() == 1


# --- poison


def interrupt(run_ids):
    """What a worker that dies after its claim leaves behind, once its lease is released."""
    Run.objects.filter(pk__in=run_ids, state="leased").update(state="due")


def test_a_run_without_progress_is_claimed_alone_and_ends_as_poison(post):
    connector = published([(StopRun, {})])
    post(connector, {})
    interrupt([run.pk for run in claims.claim_batch()])
    for _ in range(5):
        assert claims.claim_batch() == []
        (suspect,) = claims.claim_suspect()
        interrupt([suspect.pk])
    turn.take_turn()
    run = Run.objects.get()
    assert run.state == "failed"
    assert run.error.startswith("Poison: the run interrupted its worker 6 times and was ended.")
    assert not Attempt.objects.exists()


def test_a_suspect_that_works_is_cleared(post):
    connector = published([(StopRun, {})])
    post(connector, {})
    interrupt([run.pk for run in claims.claim_batch()])
    turn.take_turn()
    run = Run.objects.get()
    assert (run.state, run.attempts) == ("stopped", 0)


def test_suspects_do_not_hold_up_the_others(post, monkeypatch):
    connector = tagger()
    post_people(post, connector, 1, tag="poison")
    interrupt([run.pk for run in claims.claim_batch()])
    post_people(post, connector, 5)
    turn.take_turn()
    assert Run.objects.filter(state="done").count() == 6


def test_who_was_only_near_does_not_wait_behind_the_poison(post):
    connector = tagger()
    for tag in ("poison", "old"):
        post_people(post, connector, 1, tag=tag)
    interrupt([run.pk for run in claims.claim_batch()])
    (poison,) = claims.claim_suspect()
    post_people(post, connector, 2)
    interrupt([run.pk for run in claims.claim_batch()] + [poison.pk])
    order = []
    while suspects := claims.claim_suspect():
        order += [run.pk for run in suspects]
    assert len(order) == 4
    assert order == [*sorted(set(order) - {poison.pk}), poison.pk]


# --- fairness


def test_every_connector_gets_the_same_share_of_a_batch(post):
    flooded, quiet = published([(StopRun, {})]), published([(StopRun, {})])
    for _ in range(30):
        post(flooded, {})
    post(quiet, {})
    batch = claims.claim_batch(limit=10)
    assert [run.connector_id for run in batch].count(flooded.pk) == 5
    assert [run.connector_id for run in batch].count(quiet.pk) == 1


def test_more_connectors_than_places_take_turns(post):
    connectors = [published([(StopRun, {})]) for _ in range(5)]
    for connector in connectors:
        post(connector, {})
        post(connector, {})
    served = [run.connector_id for _ in range(3) for run in claims.claim_batch(limit=2)]
    assert len(set(served)) == 5


def test_a_run_of_a_deleted_connector_ends_cancelled(post, drain):
    connector = published([(StopRun, {})])
    post(connector, {})
    connector.delete()
    drain()
    run = Run.objects.get()
    assert (run.state, run.error) == ("cancelled", "The connector was deleted.")


def test_shared_rows_take_the_lock_and_others_do_not(post, drain, is_postgresql):
    if not is_postgresql:
        pytest.skip("SQLite has one writer and needs no lock")

    def locks(connector):
        post(connector, {"phone": "+4915112345678", "tag": "x"})
        with CaptureQueriesContext(connection) as captured:
            drain()
        return sum("pg_advisory_xact_lock" in q["sql"] for q in captured.captured_queries)

    assert locks(tagger()) == 1
    assert locks(published([(StopRun, {})])) == 0


def test_a_finished_note_is_kept_short(post, drain, monkeypatch):
    connector = published([(MapContact, {"phone": "+4915112345678"})])
    monkeypatch.setattr(MapContact, "perform", lambda self, run: Done("x" * 2000))
    post(connector, {})
    drain()
    assert len(Attempt.objects.get().note) == 500


def test_unknown_events_end_the_run(post, drain):
    connector = published([(StopRun, {})])
    post(connector, {})
    Run.objects.update(event_id=999_999)
    drain()
    assert Run.objects.get().error == "The event of this run was deleted."


def test_an_action_that_breaks_after_writing_is_undone_and_the_others_are_not(
    post, drain, monkeypatch
):
    connector = tagger()
    post_people(post, connector, 3)
    real = AddTag.perform

    def breaks(self, run):
        outcome = real(self, run)
        if run.contact.phone.endswith("1"):
            raise ValueError("after the tag was written")
        return outcome

    monkeypatch.setattr(AddTag, "perform", breaks)
    drain()
    assert Run.objects.filter(state="done").count() == 3
    assert ContactTag.objects.count() == 2
    assert Attempt.objects.get(kind="add_tag", result="failed").note.startswith("The action broke")


def test_an_action_that_breaks_before_writing_costs_the_turn_nothing(post, monkeypatch):
    connector = tagger()
    post_people(post, connector, 3)
    monkeypatch.setattr(AddTag, "perform", lambda self, run: 1 / 0)
    monkeypatch.setattr(mending, "_alone", None)
    monkeypatch.setattr(group, "SECONDS", 60)
    assert advance(*claims.claim_batch()) == []
    assert Attempt.objects.filter(kind="add_tag", result="failed").count() == 3


def test_a_turn_of_many_has_no_savepoints(post, monkeypatch):
    monkeypatch.setattr(group, "SECONDS", 60)
    post_people(post, tagger(), 3)
    batch = claims.claim_batch()
    with CaptureQueriesContext(connection) as captured:
        advance(*batch)
    savepoints = [q["sql"] for q in captured if q["sql"].startswith("SAVEPOINT")]
    assert len(savepoints) <= 1  # the turn itself, inside the transaction of this test
