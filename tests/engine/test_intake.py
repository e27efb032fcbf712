"""Intake: the memory of tokens, and events that are named by a header and taken once."""

from datetime import timedelta

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.models import Connector
from apps.connectors.publish import generate_new_url, publish
from apps.engine import intake
from apps.engine.models import DedupeKey, Event, Run
from tests.factories import ConnectorFactory, StepFactory, published

pytestmark = pytest.mark.django_db


def connector(**columns):
    return published([(AddTag, {"new_tags": "seen"})], **columns)


@pytest.fixture
def elsewhere():
    """Do something as another process would: without this process forgetting what it knows."""

    def act(change, *args):
        remembered = dict(intake._cache)
        result = change(*args)
        intake._cache.clear()
        intake._cache.update(remembered)
        return result

    return act


# --- The memory of tokens ------------------------------------------------------------------------


def test_a_known_token_costs_no_look_up(post, django_assert_num_queries, is_postgresql):
    made = connector()
    post(made, {})
    statements = 1 if is_postgresql else 5  # SQLite: begin, check, event, run, commit
    with django_assert_num_queries(statements):
        post(made, {})


def test_a_new_url_kills_the_old_one_at_once(post, elsewhere):
    made = connector()
    assert post(made, {}).status_code == 202
    stale = Connector.objects.get()
    elsewhere(generate_new_url, made)
    assert made.token != stale.token
    assert post(stale, {}).status_code == 404
    assert post(stale, data="{").status_code == 404  # nor is anything kept of bad JSON
    assert post(made, {}).status_code == 202
    assert Event.objects.count() == 2


def test_an_old_url_works_for_as_long_as_was_said(post, elsewhere, clock):
    made = connector()
    old = Connector.objects.get()
    assert post(old, {}).status_code == 202
    elsewhere(generate_new_url, made, timedelta(hours=1))
    assert [post(each, {}).status_code for each in (old, made)] == [202, 202]
    clock.tick(minutes=59, seconds=59)
    assert [post(each, {}).status_code for each in (old, made)] == [202, 202]
    clock.tick(seconds=1)  # both are remembered, and no version has changed
    assert [post(each, {}).status_code for each in (old, made)] == [404, 202]
    assert Run.objects.count() == 6


def test_a_newer_url_ends_every_older_one(post, elsewhere, clock):
    made = connector()
    first = Connector.objects.get()
    generate_new_url(made, timedelta(days=7))
    second = Connector.objects.get()
    assert [post(each, {}).status_code for each in (first, second)] == [202, 202]
    elsewhere(generate_new_url, made, timedelta(days=1))
    assert [post(each, {}).status_code for each in (first, second, made)] == [404, 202, 202]
    elsewhere(generate_new_url, made)
    assert [post(each, {}).status_code for each in (first, second, made)] == [404, 404, 202]


def test_two_connectors_may_have_no_old_url(post):
    for made in (connector(), connector()):
        generate_new_url(made)
        assert post(made, {}).status_code == 202


def test_a_publication_elsewhere_is_in_force_at_once(post, elsewhere):
    made = connector()
    post(made, {})
    newer = elsewhere(publish, made)
    post(made, {})
    assert [run.revision_id for run in Run.objects.order_by("pk")] == [
        made.published_id,
        newer.pk,
    ]


def test_a_changed_dedupe_rule_is_in_force_with_the_publication(post, elsewhere):
    made = connector()
    assert [post(made, {}, HTTP_X_ID="1").status_code for _ in range(2)] == [202, 202]
    Connector.objects.update(dedupe_by="header", dedupe_header="X-Id")
    elsewhere(publish, made)
    answers = [post(made, {}, HTTP_X_ID="1").json() for _ in range(2)]
    assert ["duplicate" in answer for answer in answers] == [False, True]
    assert Run.objects.count() == 3


def test_switching_off_and_on_elsewhere_is_in_force_at_once(post, elsewhere):
    made = connector()
    post(made, {})
    elsewhere(lambda: Connector.objects.update(enabled=False))
    assert post(made, {}).status_code == 404
    elsewhere(lambda: Connector.objects.update(enabled=True))
    assert post(made, {}).status_code == 202


def test_the_first_publication_elsewhere_is_noticed(post, elsewhere):
    made = ConnectorFactory()
    AddTag.objects.create(step=StepFactory(connector=made), new_tags="seen")
    assert post(made, {}).status_code == 404
    elsewhere(publish, made)
    assert post(made, {}).status_code == 202


def test_a_deleted_connector_is_gone_at_once(post, elsewhere):
    made = connector(dedupe_header="X-Id")
    post(made, {}, HTTP_X_ID="1")
    elsewhere(made.delete)
    assert post(made, {}, HTTP_X_ID="2").status_code == 404
    assert Run.objects.count() == 1


def test_the_memory_of_tokens_stays_small(monkeypatch):
    monkeypatch.setattr(intake, "_CACHE_SIZE", 3)
    tokens = [connector().token for _ in range(5)]
    assert all(intake.lookup(token) for token in tokens)
    assert len(intake._cache) <= 3
    assert intake.lookup("x" * 43) is None
    assert "x" * 43 not in intake._cache


# --- Once per header value -----------------------------------------------------------------------


def test_a_second_post_of_the_same_event_makes_no_second_run(post):
    made = connector(dedupe_header="X-Shopify-Event-Id")
    answers = [post(made, {"n": n}, HTTP_X_SHOPIFY_EVENT_ID="e-1") for n in range(3)]
    event = Event.objects.get()
    assert event.payload == {"n": 0}
    first = {"status": "ok", "event_id": event.pk}
    again = {**first, "duplicate": True}
    assert [answer.json() for answer in answers] == [first, again, again]
    assert {answer.status_code for answer in answers} == {202}
    assert Run.objects.count() == DedupeKey.objects.count() == 1
    assert "duplicate" not in post(made, {}, HTTP_X_SHOPIFY_EVENT_ID="e-2").json()


def test_a_post_without_the_header_always_runs(post):
    made = connector(dedupe_header=" X-Id ")
    post(made, {})
    post(made, {}, HTTP_X_ID="")
    post(made, {}, HTTP_X_ID="  ")
    assert Run.objects.count() == 3
    assert not DedupeKey.objects.exists()


def test_each_connector_has_keys_of_its_own(post):
    for made in (connector(dedupe_header="X-Id"), connector(dedupe_header="X-Id")):
        assert "duplicate" not in post(made, {}, HTTP_X_ID="1").json()


def test_long_values_are_told_apart_to_the_end(post):
    made = connector(dedupe_header="X-Id")
    for end, is_duplicate in [("a", False), ("b", False), ("a", True)]:
        answer = post(made, {}, HTTP_X_ID="x" * 400 + end).json()
        assert answer.get("duplicate", False) is is_duplicate


def test_a_rejected_body_does_not_claim_the_key(post):
    made = connector(dedupe_header="X-Id")
    assert post(made, data="{", HTTP_X_ID="1").status_code == 400
    assert "duplicate" not in post(made, {}, HTTP_X_ID="1").json()


def test_keys_are_forgotten_after_seven_days(post, clock):
    made = connector(dedupe_header="X-Id")
    first = post(made, {}, HTTP_X_ID="1").json()["event_id"]
    clock.tick(days=7)
    assert post(made, {}, HTTP_X_ID="1").json() == {
        "status": "ok",
        "event_id": first,
        "duplicate": True,
    }
    clock.tick(seconds=1)
    second = post(made, {}, HTTP_X_ID="1").json()
    assert "duplicate" not in second
    key = DedupeKey.objects.get()
    assert (key.event_id, key.expires_at) == (second["event_id"], clock.now + timedelta(days=7))
    assert Run.objects.count() == 2
    assert post(made, {}, HTTP_X_ID="1").json()["event_id"] == second["event_id"]
