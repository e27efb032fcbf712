"""Events that are named by a value of theirs, or by their body, and taken once."""

import pytest
from django.test import Client

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.models import Connector, Revision
from apps.connectors.publish import publish
from apps.engine import dedupe
from apps.engine.models import DedupeKey, Event, Run
from tests.factories import published

pytestmark = pytest.mark.django_db


def connector(**columns):
    return published([(AddTag, {"new_tags": "seen"})], **columns)


def again(answer):
    assert answer.status_code == 202
    return answer.json().get("duplicate", False)


@pytest.mark.parametrize("path", ["event.order.id", "{{ event.order.id }}", " event['order'].id"])
def test_by_a_value_of_the_event(post, path):
    made = connector(dedupe_by="path", dedupe_path=path)
    first = post(made, {"order": {"id": 7}, "sent": 1})
    second = post(made, {"order": {"id": 7}, "sent": 2})
    assert second.json() == {**first.json(), "duplicate": True}
    assert not again(post(made, {"order": {"id": 8}}))
    assert Event.objects.count() == Run.objects.count() == 2


@pytest.mark.parametrize("payload", [{}, {"id": None}, {"id": ""}, {"id": "  "}, [1], "x"])
def test_an_event_without_the_value_always_runs(post, payload):
    made = connector(dedupe_by="path", dedupe_path="event.id")
    assert [again(post(made, payload)) for _ in range(2)] == [False, False]
    assert not DedupeKey.objects.exists()


def test_a_value_may_come_from_the_query_or_a_filter_and_be_long(post):
    made = connector(dedupe_by="path", dedupe_path="custom_variables.id")
    assert [again(post(made, {}, path="?id=1")) for _ in range(2)] == [False, True]
    made = connector(dedupe_by="path", dedupe_path="{{ event.a }}/{{ event.b | downcase }}")
    assert [again(post(made, {"a": 1, "b": b})) for b in "XxY"] == [False, True, False]
    made = connector(dedupe_by="path", dedupe_path="event.id")
    ends = [again(post(made, {"id": "x" * 400 + end})) for end in "aba"]
    assert ends == [False, False, True]


def test_a_value_that_cannot_be_taken_lets_the_event_run(post):
    made = connector(dedupe_by="path", dedupe_path="{{ event.id | divided_by: 0 }}")
    assert [again(post(made, {"id": 1})) for _ in range(2)] == [False, False]


def test_by_the_whole_body(post):
    made = connector(dedupe_by="body")
    assert [again(post(made, data='{"id": 7}')) for _ in range(2)] == [False, True]
    assert not again(post(made, data='{"id":  7}'))  # the bytes count
    assert not again(post(made, data='{"id": 7}', path="?page=2"))
    assert again(post(made, data='{"id": 7}', path="?page=2"))


def test_an_empty_post_always_runs(post):
    made = connector(dedupe_by="body")
    assert [again(post(made, data="")) for _ in range(2)] == [False, False]
    asked = [again(Client().get(f"/hooks/{made.token}?id={n}")) for n in (1, 1, 2)]
    assert asked == [False, True, False]


def test_without_a_rule_a_named_header_is_not_looked_at(post):
    made = connector(dedupe_by="none", dedupe_header="X-Id")
    assert [again(post(made, {}, HTTP_X_ID="1")) for _ in range(2)] == [False, False]


def test_a_changed_rule_is_in_force_with_the_publication(post):
    made = connector(dedupe_by="path", dedupe_path="event.a")
    assert not again(post(made, {"a": 1, "b": 1}))
    Connector.objects.update(dedupe_path="event.b")
    assert again(post(made, {"a": 1, "b": 2}))
    publish(made)
    assert not again(post(made, {"a": 1, "b": 1}))  # 1 was seen as another value
    assert again(post(made, {"a": 2, "b": 1}))


def test_the_rule_of_an_older_document_is_its_header(post):
    made = connector()
    for frozen, answers in [({"header": "X-Id"}, [False, True]), ({"header": ""}, [False, False])]:
        document = {**made.published.document, "dedupe": frozen}
        revision = Revision.objects.create(
            connector=made, number=made.revisions.count() + 1, document=document
        )
        Connector.objects.update(published=revision, version=made.version + revision.number)
        key = str(revision.number)
        assert [again(post(made, {}, HTTP_X_ID=key)) for _ in range(2)] == answers
    assert dedupe.rule_of({}) == dedupe.Rule()
