"""Whom a CRM change starts, and that loops end."""

from itertools import pairwise

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.remove_tag import RemoveTag
from apps.connectors.models import Connector
from apps.connectors.publish import publish
from apps.crm import services
from apps.engine.models import Attempt, CrmTrigger, Event, Run
from tests.engine.crm_listening import BY_PHONE, PHONE, events, listening
from tests.factories import ContactFactory, TagFactory, published

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "why", ["the trigger is off", "the connector is off", "the connector was never published"]
)
def test_who_takes_no_events_gets_none(why):
    connector = listening("tag_added")
    if "trigger" in why:
        CrmTrigger.objects.update(enabled=False)
    elif "never" in why:
        Connector.objects.update(published=None)
    else:
        Connector.objects.update(enabled=False)
    services.add_tags(ContactFactory(), [TagFactory()])
    assert not Event.objects.exists() and not Run.objects.filter(connector=connector).exists()


def test_a_change_that_meets_two_of_its_triggers_starts_a_connector_once():
    tag = TagFactory()
    connector = listening("tag_added", tag=tag)
    CrmTrigger.objects.create(connector=connector, what="tag_added")
    services.add_tags(ContactFactory(), [tag])
    assert len(events(connector)) == 1


def test_its_run_takes_the_revision_that_is_published_now():
    connector = listening("tag_added")
    first = connector.published_id
    publish(connector)
    services.add_tags(ContactFactory(), [TagFactory()])
    assert Run.objects.get().revision_id > first


def test_a_field_mapping_that_finds_somebody_wins_else_it_is_the_contact_that_changed(drain, clock):
    tag = TagFactory()
    mapping = {"phone": "{{ event.contact.email }}"}
    nobody = listening("tag_added", [(AddTag, {"new_tags": "seen"})], mapping=mapping, tag=tag)
    contact = ContactFactory(phone=PHONE, email="ana@example.com")
    services.add_tags(contact, [tag])
    drain()
    run = Run.objects.get(connector=nobody)
    assert run.contact_id == contact.pk
    note = Attempt.objects.get(run=run, kind="field_mapping").note
    assert note.endswith("The run goes on with the contact of its event.")
    other = listening("tag_removed", mapping={"phone": "+4915187654321"})
    services.remove_tags(contact, [tag])
    drain()
    assert Run.objects.get(connector=other).contact.phone == "+4915187654321"


def test_it_keeps_order_per_contact(drain, clock):
    connector = listening("tag_added", [(AddTag, {"new_tags": "{{ event.tag }} seen"})])
    connector.in_order = True
    connector.save(update_fields=["in_order"])
    CrmTrigger.objects.update(tag=TagFactory(name="vip"))
    publish(connector)
    contact = ContactFactory()
    services.add_tags(contact, [TagFactory(name="other"), CrmTrigger.objects.get().tag])
    drain()
    run = Run.objects.get()
    assert (run.state, run.line) == ("done", contact.pk)


# --- loops ----------------------------------------------------------------------------------------


def loop(*tags):
    """Takes off the tag and puts it on again, which starts it."""
    again = [(RemoveTag, {"tag_names": "vip"}), (AddTag, {"new_tags": "vip"})]
    return listening("tag_added", again, tag=TagFactory(name="vip"))


def test_a_connector_that_starts_itself_is_stopped_at_the_tenth_re_entry(drain, clock):
    connector = loop()
    contact = ContactFactory()
    services.add_tags(contact, [CrmTrigger.objects.get().tag])
    drain()
    runs = list(Run.objects.order_by("pk"))
    assert [run.state for run in runs] == ["done"] * 10 + ["stopped"]
    last = runs[-1]
    assert last.error == "Loop detected: stopped after 10 rotations"
    assert (last.chain, last.finished_at) == ([connector.pk] * 10, clock.now)
    entry = Attempt.objects.get(run=last)
    assert (entry.label, entry.note, entry.result) == ("Loop guard", last.error, "stopped")


def test_a_loop_over_two_connectors_is_stopped_too(drain, clock):
    a, b = TagFactory(name="a"), TagFactory(name="b")
    first = listening("tag_added", [(RemoveTag, {"tag_names": "a"}), (AddTag, {"new_tags": "b"})])
    second = listening("tag_added", [(RemoveTag, {"tag_names": "b"}), (AddTag, {"new_tags": "a"})])
    CrmTrigger.objects.filter(connector=first).update(tag=a)
    CrmTrigger.objects.filter(connector=second).update(tag=b)
    services.add_tags(ContactFactory(), [a])
    drain()
    stopped = Run.objects.get(state="stopped")
    assert (stopped.connector_id, stopped.chain) == (first.pk, [first.pk, second.pk] * 10)
    assert Run.objects.filter(state="done").count() == 20


def test_a_loop_does_not_branch(drain, clock):
    """Three changes in each run: 3 ** 10 runs, if each started one."""
    tags = [(RemoveTag, {"tag_names": "a, b, c"}), (AddTag, {"new_tags": "a, b, c"})]
    connector = listening("tag_added", tags)
    services.add_tags(ContactFactory(), [TagFactory(name="a")])
    drain()
    states = Run.objects.order_by("pk").values_list("state", flat=True)
    assert (list(states).count("done"), len(states)) == (10, 31)
    told = "Loop detected: run 1 has started this connector already"
    first = Run.objects.order_by("pk")[2:4]
    assert [run.error.replace(str(Run.objects.earliest("pk").pk), "1", 1) for run in first] == [
        told
    ] * 2
    assert all(Attempt.objects.get(run=run).label == "Loop guard" for run in first)
    assert Run.objects.latest("pk").chain == [connector.pk] * 10


def test_who_is_not_in_the_chain_is_started_by_each_change(post, drain, clock):
    connector = listening("tag_added")
    post(published([(AddTag, {"new_tags": "a, b, c"})], mapping=BY_PHONE), {"phone": PHONE})
    drain()
    assert sorted(e["tag"] for e in events(connector)) == ["a", "b", "c"]
    assert set(Run.objects.values_list("error", flat=True)) == {""}


def test_a_straight_chain_is_cut_after_fifty_hops(drain, clock, settings):
    settings.MAX_HOPS = 3
    tags = [TagFactory(name=f"t{n}") for n in range(6)]
    for here, following in pairwise(tags):
        listening("tag_added", [(AddTag, {"new_tags": following.name})], tag=here)
    services.add_tags(ContactFactory(), [tags[0]])
    drain()
    states = list(Run.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["done"] * 4 + ["stopped"]
    assert Run.objects.latest("pk").error == "Chain too long: stopped after 3 hops"


def test_what_people_do_begins_a_chain(drain, clock):
    connector = listening("tag_added")
    for _ in range(15):
        services.add_tags(ContactFactory(), [TagFactory()], "user", 1)
    drain()
    assert list(Run.objects.values_list("state", "chain")) == [("stopped", [])] * 15
    assert Run.objects.filter(connector=connector, error="").count() == 15
