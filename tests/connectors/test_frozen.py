"""Frozen documents: what is in them, and that those of every released format still run."""

import copy
import json
from pathlib import Path

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.send_message import SendMessage
from apps.connectors import registry
from apps.connectors.frozen import (
    freeze,
    freeze_action,
    frozen_rows,
    load_actions,
    own_fields,
    thaw_action,
)
from apps.connectors.models import Action, Connector, Revision
from apps.connectors.publish import find_problems, publish
from apps.core.models import Installation
from apps.crm.models import Contact, Tag
from apps.engine.models import Attempt, Run
from apps.messaging.models import Channel
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, ConnectorFactory, StepFactory, TagFactory, published

pytestmark = pytest.mark.django_db

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
GUEST = {
    "phone": "+4915112345678",
    "name": "Ana",
    "seats": "2",
    "city": "bonn",
    "id": 7,
    "start": "2026-03-05T10:00:00Z",
}


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request):
    return json.loads(request.param.read_text())


def actions_of(document):
    return [action for step in document["steps"] for action in step["actions"]]


def revised(document, **connector):
    made = ConnectorFactory(**connector)
    revision = Revision.objects.create(connector=made, number=1, document=document)
    Connector.objects.filter(pk=made.pk).update(published=revision)
    return Connector.objects.get(pk=made.pk)


def test_every_format_is_named_after_its_number(golden):
    assert f"format-{golden['format']}" in [path.stem for path in GOLDEN]
    assert {action["kind"] for action in actions_of(golden)} <= set(registry.kinds())


def test_a_golden_document_runs(golden, post, drain, clock):
    TagFactory(pk=9001, name="guest")
    ChannelFactory(pk=9002, name="Shop")
    connector = revised(golden, pk=9003, name="Webinar")
    assert post(connector, GUEST, headers={"X-Event-Id": "1"}).json() == {"ok": True}
    drain()
    contact = Contact.objects.get()
    tags = sorted(str(link.tag) for link in contact.tag_links.all())
    assert (contact.name, tags) == ("Ana", ["bonn", "guest"])
    assert PhoneMessage.objects.get().text == "Welcome Ana, your webinar is 7."
    clock.tick(hours=1)
    post(connector, GUEST, headers={"X-Event-Id": "2"})
    drain()
    first, second = Run.objects.order_by("pk")
    assert (first.state, second.state) == ("cancelled", "waiting")
    clock.tick(days=3)
    drain()
    second.refresh_from_db()
    assert second.state == "stopped"
    assert set(Attempt.objects.values_list("kind", flat=True)) == {
        "field_mapping",
        *(action["kind"] for action in actions_of(golden)),
    }


def test_freezing_a_thawed_golden_action_only_adds_what_the_kind_has_gained(golden):
    for document in actions_of(golden):
        before = copy.deepcopy(document)
        gained = freeze_action(registry.kinds()[document["kind"]]())
        expected = {**gained, **document}
        for part in {"config", "refs", "rows"} & gained.keys():
            expected[part] = {**gained[part], **document.get(part, {})}
        assert freeze_action(thaw_action(document)) == expected
        assert document == before


def test_the_document_holds_everything_and_survives_json():
    tag, channel = TagFactory(name="vip"), ChannelFactory(name="Shop")
    message = {"channel": channel, "recipients": [{"to": "1"}], "text": "Hi", "label": "First"}
    connector = published(
        [(AddTag, {"rows": {"tags": [{"tag": tag}]}}), (SendMessage, message)],
        [(Delay, {"enabled": False})],
        mapping={"phone": "{{ event.phone }}"},
        response_body="ok",
        response_type="text/plain",
        dedupe_header="X-Id",
    )
    document = freeze(connector)
    assert document == json.loads(json.dumps(document))
    assert document["installation"] == str(Installation.current().uid)
    assert document["mapping"] == {"phone": "{{ event.phone }}"}
    assert document["response"] == {"body": "ok", "type": "text/plain"}
    assert document["dedupe"] == {"by": "header", "header": "X-Id", "path": ""}
    add, send, delay = actions_of(document)
    assert add["rows"]["tags"] == [{"config": {}, "refs": {"tag": {"id": tag.pk, "name": "vip"}}}]
    assert send["refs"] == {"channel": {"id": channel.pk, "name": "Shop"}}
    assert (send["key"], send["label"], delay["enabled"]) == ("first", "First", False)
    assert connector.token not in json.dumps(document)


def test_a_key_outlives_its_label_and_is_unique_in_the_connector():
    step = StepFactory()
    first = Delay.objects.create(step=step, label="Wait a day")
    second = Delay.objects.create(step=step, label="Wait a Day!")
    digits = Delay.objects.create(step=StepFactory(connector=step.connector), label="24 hours")
    assert (first.key, second.key, digits.key) == ("wait_a_day", "wait_a_day_2", "delay_24_hours")
    first.label = "Wait two days"
    first.save()
    assert first.key == "wait_a_day"
    assert Delay.objects.create(step=StepFactory(), label="Wait a day").key == "wait_a_day"


def test_a_column_added_later_has_its_default_and_one_removed_is_passed_over():
    document = freeze_action(Delay(amount=5))
    del document["config"]["unit"]
    document["config"]["was_removed"] = 1
    thawed = thaw_action(document)
    assert (thawed.amount, thawed.unit) == (5, "hours")


def test_retries_are_frozen():
    document = freeze_action(AddTag(on_error="retry", retry_times=3, retry_wait=10))
    assert (document["retry_times"], document["retry_then"]) == (3, "stop")
    thawed = thaw_action(json.loads(json.dumps(document)))
    assert (thawed.retry_times, thawed.retry_wait, thawed.retry_then) == (3, 10, "stop")
    assert freeze_action(thawed) == document
    del document["retry_times"]
    assert thaw_action(document).retry_times == 5


def test_a_thawed_action_does_not_see_the_edited_draft():
    action = AddTag.objects.create(step=StepFactory(), new_tags="old")
    action.tags.create(tag=TagFactory(name="vip"))
    document = json.loads(json.dumps(freeze_action(action)))
    AddTag.objects.update(new_tags="new")
    Tag.objects.update(name="renamed")
    action.tags.all().delete()
    thawed = thaw_action(document)
    assert thawed.new_tags == "old"
    assert len(frozen_rows(thawed, "tags")) == 1
    assert thawed.pk is None


def test_loading_a_draft_takes_queries_by_kind_not_by_action(django_assert_num_queries):
    steps = [StepFactory()]
    steps.append(StepFactory(connector=steps[0].connector))
    tag, channel = TagFactory(), ChannelFactory()
    for number in range(5):
        for step in steps:
            add = AddTag.objects.create(step=step, position=number)
            add.tags.create(tag=tag)
            SendMessage.objects.create(
                step=step, position=9 - number, channel=channel, recipients=[], text="x"
            )
    with django_assert_num_queries(4):  # all actions, each kind, the rows of one
        loaded = load_actions(steps)
        frozen = [freeze_action(action) for step in steps for action in loaded[step.pk]]
    assert [action["kind"] for action in frozen] == (["add_tag"] * 5 + ["send_message"] * 5) * 2


def test_an_unknown_kind_in_a_plan_fails_with_a_sentence_and_the_run_goes_on(post, drain, clock):
    alien = {"uid": "x", "kind": "fax", "key": "fax", "label": "", "enabled": True}
    alien |= {"on_error": "continue", "config": {}}
    connector = published([(AddTag, {"new_tags": "x"})], mapping={"phone": "+4915112345678"})
    document = connector.published.document
    document["steps"][0]["actions"].insert(0, alien)
    post(revised(document), {})
    drain()
    entry = Attempt.objects.get(kind="fax")
    assert (entry.result, entry.label) == ("failed", "fax")
    assert entry.note == 'This installation has no action kind "fax".'
    assert Tag.objects.get().name == "x"


def test_an_unknown_kind_in_a_draft_is_a_problem():
    connector = ConnectorFactory()
    step = StepFactory(connector=connector, name="Step")
    action = Action.objects.create(step=step, kind="fax")
    Delay.objects.create(step=step)
    problem = find_problems(connector)
    assert [(found.text, found.action_id) for found in problem] == [
        ('This installation has no action kind "fax".', action.pk)
    ]


def test_columns_of_every_type_thaw_as_they_were():
    """Whatever a kind's columns are, the frozen values are JSON."""
    for kind in registry.kinds().values():
        frozen = freeze_action(kind())
        for field in own_fields(kind):
            if not field.is_relation:
                assert getattr(thaw_action(frozen), field.name) == getattr(kind(), field.name)


def test_cancel_delay_rows_carry_text_and_reference():
    connector = ConnectorFactory(name="Reminders")
    action = CancelDelay.objects.create(step=StepFactory())
    action.targets.create(connector=connector, identifier="{{ event.id }}")
    (row,) = frozen_rows(thaw_action(freeze_action(action)), "targets")
    assert row.config == {"identifier": "{{ event.id }}"}
    assert row.frozen["refs"] == {"connector": {"id": connector.pk, "name": "Reminders"}}


def test_publishing_freezes_what_loading_shows():
    channel = ChannelFactory()
    message = {"channel": channel, "recipients": [{"to": "1"}], "text": "Hi"}
    connector = published([(SendMessage, message)])
    assert publish(connector).document == freeze(connector) == connector.published.document
    assert Channel.objects.get() == channel
