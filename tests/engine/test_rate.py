"""The limit of events a minute: refused with 429, nothing stored, per connector."""

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.models import Connector
from apps.connectors.publish import touch
from apps.engine import rate
from apps.engine.models import Event, Run
from tests.factories import CredentialFactory, published

pytestmark = pytest.mark.django_db


def connector(**columns):
    return published([(AddTag, {"new_tags": "seen"})], **columns)


def statuses(post, made, count, **kwargs):
    return [post(made, {}, **kwargs).status_code for _ in range(count)]


def test_more_than_the_limit_is_refused_and_not_stored(post, clock):
    made = connector(inbound_per_minute=3)
    assert statuses(post, made, 5) == [202, 202, 202, 429, 429]
    assert Event.objects.count() == Run.objects.count() == 3
    answer = post(made, data="{")
    assert (answer.status_code, answer["Retry-After"]) == (429, "20")
    assert answer.json() == {
        "status": "error",
        "detail": "This connector takes 3 events a minute. Post this one again in 20 seconds.",
    }
    assert statuses(post, connector(inbound_per_minute=3), 1) == [202]


def test_after_the_time_that_the_answer_says_the_next_one_passes(post, clock):
    made = connector(inbound_per_minute=3)
    statuses(post, made, 3)
    clock.tick(seconds=19)
    assert post(made, {})["Retry-After"] == "1"
    clock.tick(seconds=1)
    assert statuses(post, made, 2) == [202, 429]
    clock.tick(hours=1)  # the bucket holds a minute's worth, not an hour's
    assert statuses(post, made, 4) == [202, 202, 202, 429]


def test_the_installation_has_a_limit_of_its_own(post, clock, settings):
    assert settings.INBOUND_PER_MINUTE == 6_000
    settings.INBOUND_PER_MINUTE = 2
    assert statuses(post, connector(), 3) == [202, 202, 429]
    assert statuses(post, connector(inbound_per_minute=3), 4) == [202, 202, 202, 429]


def test_a_changed_limit_is_in_force_at_once(post, clock):
    made = connector()
    statuses(post, made, 1)
    Connector.objects.update(inbound_per_minute=1)
    touch(made.pk)
    assert statuses(post, made, 3) == [202, 429, 429]  # the first of them brings the news


def test_a_refused_post_costs_no_statement(post, clock, django_assert_num_queries):
    made = connector(inbound_per_minute=1)
    assert statuses(post, made, 1) == [202]
    with django_assert_num_queries(0):
        assert statuses(post, made, 1) == [429]


def test_strangers_do_not_use_up_the_limit(post, clock):
    made = connector(
        inbound_per_minute=1,
        auth="header",
        auth_header="X-Api-Key",
        credential=CredentialFactory(secret="k-1"),
    )
    assert statuses(post, made, 3, HTTP_X_API_KEY="x") == [401] * 3
    assert statuses(post, made, 2, HTTP_X_API_KEY="k-1") == [202, 429]


def test_the_memory_of_the_limit_stays_small(monkeypatch):
    monkeypatch.setattr(rate, "_MOST", 3)
    for connector_id in range(10):
        rate.take(connector_id, 60)
    assert len(rate._full_at) <= 3
