"""Publishing from the flow page, and what becomes of the runs that wait."""

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.stop import StopRun
from apps.engine.models import Attempt, Run
from tests.factories import StepFactory, published

pytestmark = pytest.mark.django_db


def publish(client, connector, **sent):
    connector.refresh_from_db()
    sent = {"version": connector.draft_version, **sent}
    return client.post(reverse("admin:connectors_connector_publish", args=[connector.pk]), sent)


def said(answer):
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


@pytest.fixture
def waiting(post, drain, clock):
    """A connector of which two runs wait, with a changed draft."""
    connector = published([(Delay, {"amount": 2}), (AddTag, {"new_tags": "old"})], name="Shop")
    for _ in range(2):
        post(connector, {})
    drain()
    connector.steps.get().actions.filter(kind="add_tag").delete()
    return connector


def test_publishing_makes_a_numbered_revision_with_its_author(operator, post):
    step = StepFactory()
    StopRun.objects.create(step=step)
    assert post(step.connector, {}).status_code == 404
    answer = publish(operator, step.connector)
    assert said(answer) == "Revision 1 is live."
    revision = step.connector.revisions.get()
    assert (revision.number, revision.created_by.username) == (1, "operator")
    assert post(step.connector, {}).status_code == 202
    page = operator.get(answer.url)
    assert page.context["state"] == "live"
    assert "by operator" in page.content.decode()


def test_a_draft_with_problems_is_not_published(operator):
    step = StepFactory(name="Thanks")
    tags = AddTag.objects.create(step=step)
    assert "Not published" in said(publish(operator, step.connector))
    assert not step.connector.revisions.exists()
    page = operator.get(reverse("admin:connectors_connector_publish", args=[step.connector_id]))
    assert f"/flow/#action-{tags.pk}" in page.content.decode()


def test_what_was_not_seen_is_not_published(operator, edit):
    step = StepFactory()
    StopRun.objects.create(step=step)
    edit(step.connector, "add-step", name="By somebody else")
    assert "was changed since this page was opened" in said(
        publish(operator, step.connector, version=0)
    )
    assert not step.connector.revisions.exists()


def test_nothing_is_published_twice(operator):
    connector = published([(StopRun, {})])
    assert "nothing to publish" in said(publish(operator, connector))
    assert connector.revisions.count() == 1


def test_publishing_asks_what_becomes_of_waiting_runs(operator, waiting):
    page = publish(operator, waiting)
    assert page.status_code == 200
    text = page.content.decode()
    assert "2 runs wait. What becomes of them?" in text
    assert 'value="leave"' in text and 'value="cancel"' in text
    assert waiting.revisions.count() == 1
    flow = operator.get(reverse("admin:connectors_connector_flow", args=[waiting.pk]))
    assert "Publish …" in flow.content.decode()


def test_runs_that_are_left_end_on_the_revision_they_started_with(
    operator, waiting, post, drain, clock
):
    publish(operator, waiting, waiting="leave")
    clock.tick(hours=1)
    post(waiting, {})
    drain()
    clock.tick(hours=1)
    drain()
    old = list(Run.objects.filter(revision__number=1).values_list("state", flat=True))
    assert old == ["done", "done"]
    assert Attempt.objects.filter(kind="add_tag").count() == 2
    assert Run.objects.filter(revision__number=2, state="waiting").count() == 1


def test_runs_that_are_cancelled_end_with_a_note(operator, waiting, drain, clock):
    answer = publish(operator, waiting, waiting="cancel")
    assert said(answer) == "Revision 2 is live. 2 waiting runs were cancelled."
    clock.tick(hours=3)
    drain()
    assert set(Run.objects.values_list("state", "error")) == {
        ("cancelled", "Cancelled when revision 2 was published.")
    }
    assert not Attempt.objects.filter(kind="add_tag").exists()


def test_the_history_tells_who_published(operator):
    step = StepFactory()
    StopRun.objects.create(step=step)
    publish(operator, step.connector)
    address = reverse("admin:connectors_connector_history", args=[step.connector_id])
    assert "Published revision 1." in operator.get(address).content.decode()
