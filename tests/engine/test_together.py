"""Posts that are stored together: what is wrong with one harms no other."""

import pytest
from django.db import connection

from apps.actions.kinds.stop import StopRun
from apps.core import clock as core_clock
from apps.engine import intake, together
from apps.engine.bodies import Body
from apps.engine.models import Event, Run
from apps.engine.together import Post, store_all
from tests.factories import published

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="only PostgreSQL stores posts together"
    ),
]


@pytest.fixture
def given():
    """A post for a published connector."""
    known = intake.lookup(published([(StopRun, {})]).token)

    def make(number, **columns):
        posted = intake.Posted(Body("json", f'{{"n": {number}}}'), "application/json", {})
        return Post({**intake.columns(known, posted, core_clock.now()), **columns})

    return make


def test_of_a_group_with_a_bad_post_all_others_are_stored(given):
    posts = [given(0), given(1, content_type="x" * 300), given(2), given(3, form="x" * 300)]
    store_all(posts)
    assert [post.error is None for post in posts] == [True, False, True, False]
    stored = {event.pk: event.payload["n"] for event in Event.objects.all()}
    assert stored == {posts[0].event_id: 0, posts[2].event_id: 2}
    assert set(Run.objects.values_list("event_id", flat=True)) == set(stored)
    assert posts[1].event_id is posts[3].event_id is None


def test_of_a_group_with_a_stale_post_all_others_are_stored(given):
    posts = [given(0), given(1, version=99), given(2)]
    store_all(posts)
    assert [post.event_id is None for post in posts] == [False, True, False]
    assert {post.error for post in posts} == {None}
    assert Event.objects.count() == Run.objects.count() == 2


def test_trouble_of_the_database_is_everybodys(given, monkeypatch):
    trouble = RuntimeError("no space left")

    def refuses(posts):
        raise trouble

    monkeypatch.setattr(together, "_store", refuses)
    posts = [given(0), given(1)]
    store_all(posts)
    assert [post.error for post in posts] == [trouble, trouble]
