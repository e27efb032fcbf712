"""Claims: whose a run is, and how often it may break its worker."""

import pytest

from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.stop import StopRun
from apps.core.http.guard import AllowList
from apps.engine import claims, turn
from apps.engine.models import Attempt, Call, Run
from apps.engine.sweep import sweep
from tests.factories import published
from tests.servers import serving

pytestmark = pytest.mark.django_db


def put_back():
    """What a worker that dies after its claim leaves behind, once its lease is released."""
    Run.objects.filter(state="leased").update(state="due")


def test_a_claim_is_told_from_the_one_before_by_the_same_worker(post):
    post(published([(StopRun, {})]), {})
    stale = claims.claim_batch()
    put_back()
    fresh = claims.claim_suspect()
    assert [run.pk for run in stale] == [run.pk for run in fresh]
    assert fresh[0].lease_epoch > stale[0].lease_epoch
    turn.work_off(stale)
    assert not Attempt.objects.exists()
    turn.work_off(fresh)
    assert (Run.objects.get().state, Attempt.objects.count()) == ("stopped", 1)


def test_the_last_try_before_a_run_is_poison_is_a_try(post, drain):
    post(published([(StopRun, {})]), {})
    claims.claim_batch()
    for _ in range(claims.MAX_ATTEMPTS - 2):
        put_back()
        assert len(claims.claim_suspect()) == 1
    put_back()
    drain()
    run = Run.objects.get()
    assert (run.state, run.error, run.attempts) == ("stopped", "", 0)


def test_the_lease_of_a_run_that_waits_for_an_answer_lasts_until_there_must_be_one(
    post, drain, clock, settings
):
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    with serving() as server:
        post(published([(HttpApi, {"url": server.url, "method": "POST"})]), {})
        turn.take_turn()
        assert Call.objects.get().state == "sending"
        clock.tick(seconds=110)  # a call may take a minute, and a turn may
        sweep()
        drain()
        assert len(server.asked) == 1
    assert Call.objects.get().state == "answered"
    assert Attempt.objects.get().result == "done"  # not: unknown
