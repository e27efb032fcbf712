"""Publishing: numbered, immutable revisions, and what becomes of runs and references meanwhile."""

import pytest
from django.db import IntegrityError, transaction
from django.db.models import RestrictedError

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from apps.connectors.models import Connector, Revision
from apps.connectors.publish import (
    NotPublishable,
    find_problems,
    generate_new_url,
    has_unpublished_changes,
    publish,
)
from apps.crm.models import ContactTag, Tag
from apps.engine.models import Attempt, Run
from apps.messaging.models import Channel
from tests.factories import (
    ChannelFactory,
    ConnectorFactory,
    StepFactory,
    TagFactory,
    published,
)

pytestmark = pytest.mark.django_db

BY_PHONE = {"phone": "{{ event.phone }}"}
ANA = {"phone": "+4915112345678"}


def tagged():
    return sorted(ContactTag.objects.values_list("tag__name", flat=True))


# --- revisions ------------------------------------------------------------------------------------


def test_revisions_are_numbered_by_connector():
    first, second = published([(StopRun, {})]), published([(StopRun, {})])
    assert [publish(first).number, publish(first).number, publish(second).number] == [2, 3, 2]
    first.refresh_from_db()
    assert first.published.number == 3
    with pytest.raises(IntegrityError), transaction.atomic():
        Revision.objects.create(connector=first, number=3, document={})


def test_a_revision_is_never_changed():
    revision = published([(StopRun, {})]).published
    revision.number = 9
    with pytest.raises(TypeError, match="never changed"):
        revision.save()


def test_publishing_tells_who_did_it(admin_user):
    assert publish(published([(StopRun, {})]), admin_user).created_by == admin_user


def test_a_draft_with_problems_is_not_published():
    connector = ConnectorFactory(name="Shop")
    with pytest.raises(NotPublishable, match=r"Shop: Add at least one action\."):
        publish(connector)
    step = StepFactory(connector=connector, name="Greet")
    tag = AddTag.objects.create(step=step, label="VIP")
    Delay.objects.create(step=step, position=1)
    with pytest.raises(NotPublishable) as caught:
        publish(connector)
    (problem,) = caught.value.problems
    assert (problem.place, problem.action_id) == ("Greet › VIP", tag.pk)
    assert problem.text == "Choose or type at least one tag."
    assert not Revision.objects.exists()
    AddTag.objects.update(enabled=False)  # switched off, it does not count
    assert find_problems(connector) == []
    assert publish(connector).number == 1


def test_what_has_changed_since_is_known():
    connector = published([(Delay, {"amount": 2})])
    assert not has_unpublished_changes(connector)
    Delay.objects.update(amount=3)
    assert has_unpublished_changes(connector)
    Delay.objects.update(amount=2)
    assert not has_unpublished_changes(connector)
    connector.mappings.create(field="phone", value="{{ event.phone }}")
    assert has_unpublished_changes(connector)
    assert has_unpublished_changes(ConnectorFactory())


def test_the_draft_changes_nothing_until_it_is_published(post, drain, clock):
    connector = published([(AddTag, {"new_tags": "old"})], mapping=BY_PHONE)
    AddTag.objects.update(new_tags="new")
    post(connector, ANA)
    drain()
    assert tagged() == ["old"]
    publish(connector)
    post(connector, ANA)
    drain()
    assert tagged() == ["new", "old"]


def test_a_run_stays_on_the_revision_that_it_started_with(post, drain, clock):
    connector = published([(Delay, {})], [(AddTag, {"new_tags": "old"})], mapping=BY_PHONE)
    post(connector, ANA)
    drain()
    AddTag.objects.update(new_tags="new")
    Delay.objects.update(amount=5)
    connector.steps.first().actions.all().delete()
    publish(connector)
    post(connector, {"phone": "+4915112345679"})
    drain()
    assert list(ContactTag.objects.values_list("contact__phone", "tag__name")) == [
        ("+4915112345679", "new")
    ]
    clock.tick(hours=1)
    drain()
    assert ("+4915112345678", "old") in ContactTag.objects.values_list(
        "contact__phone", "tag__name"
    )
    revisions = list(Run.objects.order_by("pk").values_list("state", "revision__number"))
    assert revisions == [("done", 1), ("done", 2)]


def test_a_new_url_leaves_the_old_one_dead(post, drain, clock):
    connector = published([(StopRun, {})])
    old = Connector.objects.get(pk=connector.pk)
    assert post(old, {}).status_code == 202
    generate_new_url(connector)
    assert post(old, {}).status_code == 404
    assert post(connector, {}).status_code == 202


# --- what a plan refers to ------------------------------------------------------------------------


@pytest.fixture
def waiting(post, drain, clock):
    """A run that sleeps an hour and then adds the tag vip, whose draft no longer does."""
    vip = TagFactory(name="vip")
    steps = [(Delay, {}), (AddTag, {"new_tags": "typed", "rows": {"tags": [{"tag": vip}]}})]
    connector = published(steps, mapping=BY_PHONE)
    post(connector, ANA)
    drain()

    def wake():
        clock.tick(hours=1)
        drain()
        return Attempt.objects.filter(kind="add_tag").latest("pk")

    wake.tag, wake.connector = vip, connector
    return wake


def test_a_renamed_tag_goes_by_its_new_name(waiting):
    Tag.objects.filter(pk=waiting.tag.pk).update(name="gold")
    assert waiting().result == "done"
    assert tagged() == ["gold", "typed"]


def test_a_deleted_tag_is_named_and_nothing_is_half_done(waiting):
    AddTag.objects.all().delete()
    waiting.tag.delete()
    entry = waiting()
    assert (entry.result, entry.note) == ("failed", 'Tag "vip" was deleted')
    assert tagged() == []
    assert not Tag.objects.exists()


def test_a_namesake_of_a_deleted_tag_is_another_tag(waiting):
    AddTag.objects.all().delete()
    waiting.tag.delete()
    TagFactory(name="vip")
    assert waiting().result == "failed"


def test_what_the_draft_uses_cannot_be_deleted(waiting):
    with pytest.raises(RestrictedError):
        waiting.tag.delete()
    channel = ChannelFactory()
    published([(SendMessage, {"channel": channel, "recipients": [{"to": "1"}], "text": "x"})])
    with pytest.raises(RestrictedError):
        channel.delete()
    assert Channel.objects.filter(pk=channel.pk).exists()


def test_a_connector_that_another_one_names_cannot_be_deleted(waiting):
    target = {"connector": waiting.connector, "identifier": "x"}
    other = published([(CancelDelay, {"rows": {"targets": [target]}})])
    with pytest.raises(RestrictedError):
        waiting.connector.delete()
    other.delete()
    waiting.connector.delete()


def test_a_connector_that_names_itself_can_be_deleted(waiting):
    action = CancelDelay.objects.create(step=waiting.connector.steps.first())
    action.targets.create(connector=waiting.connector, identifier="x")
    waiting.connector.delete()
    assert not Connector.objects.exists()


def test_a_run_of_a_deleted_connector_does_nothing_more(waiting, clock, drain):
    waiting.connector.delete()
    clock.tick(hours=1)
    drain()
    assert Run.objects.get().state == "cancelled"
    assert tagged() == []
