"""What a turn costs in statements, for three runs together: no more than at commit 9fdbcc8, before
runs waited for named calls (PostgreSQL; a savepoint of the test and its release are among them)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.stop import StopRun
from apps.core.http.outgoing import outgoing
from apps.engine import group
from apps.engine.turn import take_turn
from tests.factories import TagFactory, published

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outside")]


@pytest.fixture(autouse=True)
def _one_turn_for_all(is_postgresql, monkeypatch):
    if not is_postgresql:
        pytest.skip("its statements are others")
    monkeypatch.setattr(group, "SECONDS", 60)


@pytest.fixture
def turn(post, clock):
    """Post three events and count the statements of the turn that takes them."""

    def count(connector=None):
        for n in range(3 if connector else 0):
            post(connector, {"phone": f"+4915112345{n:03d}"})
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert take_turn() == 3
        return len(asked)

    return count


def test_of_runs_that_end_at_once(turn):
    connector = published([(StopRun, {})])
    turn(connector)
    assert turn(connector) <= 9


def test_of_runs_with_a_contact_and_a_tag(turn):
    row = {"rows": {"tags": [{"tag": TagFactory()}]}}
    connector = published([(AddTag, row)], mapping={"phone": "{{ event.phone }}"})
    assert turn(connector) <= 21


@pytest.mark.parametrize("limit", [0, 100])
def test_of_runs_that_call_and_of_their_answers(turn, server, settings, limit):
    settings.HTTP_PER_MINUTE = limit
    ask = {"label": "Ask", "method": "GET", "url": f"{server.url}/x", "over_limit": "wait"}
    connector = published([(HttpApi, ask)])
    assert turn(connector) <= (12 if limit else 11)
    while len(outgoing().share("calls").answered()) < 3:
        outgoing().wait(1)
    assert turn() <= 11
