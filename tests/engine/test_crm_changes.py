"""The event source *CRM change*: one event and one run for each real change, in its transaction."""

from itertools import pairwise

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.clear_attribute import ClearAttribute
from apps.actions.kinds.remove_tag import RemoveTag
from apps.actions.kinds.set_attribute import SetAttribute
from apps.actions.kinds.stop import StopRun
from apps.connectors.models import Connector
from apps.connectors.publish import publish
from apps.crm import erasing, merging, news, services
from apps.crm.models import Contact, ContactTag
from apps.crm.news import Change, What
from apps.crm.services import Identity
from apps.engine import crm_changes, turn
from apps.engine.models import Attempt, CrmTrigger, Event, Run
from tests.factories import (
    AttributeFactory,
    CategoryFactory,
    ConnectorFactory,
    ContactFactory,
    TagFactory,
    published,
)

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
BY_PHONE = {"phone": "{{ event.phone }}", "name": "{{ event.name }}"}


def listening(what, *steps, mapping=None, **narrowed):
    """A published connector that is started by changes."""
    connector = published(*(steps or [[(StopRun, {})]]), mapping=mapping)
    CrmTrigger.objects.create(connector=connector, what=what, **narrowed)
    return connector


def events(connector):
    return [event.payload for event in Event.objects.filter(connector=connector).order_by("pk")]


# --- what is told ---------------------------------------------------------------------------------


def test_a_new_contact_makes_an_event_and_a_run_about_it(post, drain, clock):
    greeter = listening("contact_created", [(AddTag, {"new_tags": "{{ event.contact.name }}"})])
    source = published([(StopRun, {})], mapping=BY_PHONE)
    post(source, {"phone": PHONE, "name": "Ana"})
    drain()
    contact, cause = Contact.objects.get(), Run.objects.get(connector=source)
    assert events(greeter) == [
        {
            "change": "contact_created",
            "contact": {
                "id": contact.pk,
                "name": "Ana",
                "phone": PHONE,
                "mobile_number": PHONE,
                "email": "",
                "timezone": "",
                "country": "",
                "created_at": "2026-03-02T12:00:00+00:00",
                "last_interaction_at": "",
            },
            "cause": "run",
            "cause_id": cause.pk,
        }
    ]
    event, run = Event.objects.get(connector=greeter), Run.objects.get(connector=greeter)
    assert (event.source, event.state) == ("crm", "accepted")
    assert (event.cause, event.cause_id) == ("run", cause.pk)
    assert (run.state, run.contact_id, run.event_id) == ("done", contact.pk, event.pk)
    assert (run.chain, run.revision_id) == ([source.pk], greeter.published_id)
    assert ContactTag.objects.get().tag.name == "Ana"
    # The second event of the same person creates nobody.
    post(source, {"phone": PHONE, "name": "Ana"})
    drain()
    assert len(events(greeter)) == 1


def test_a_tag_that_is_really_added_or_removed_is_told_once(post, drain, clock):
    vip = TagFactory(name="vip")
    added = listening("tag_added", tag=vip)
    any_added, removed = listening("tag_added"), listening("tag_removed", tag=vip)
    gold = (AddTag, {"new_tags": "Gold, vip"})
    source = published([gold, gold, (RemoveTag, {"tag_names": "vip, Gold"})], mapping=BY_PHONE)
    post(source, {"phone": PHONE})
    drain()
    assert [(e["change"], e["tag"]) for e in events(added)] == [("tag_added", "vip")]
    assert sorted(e["tag"] for e in events(any_added)) == ["Gold", "vip"]
    assert [(e["change"], e["tag"]) for e in events(removed)] == [("tag_removed", "vip")]
    assert all(e["contact"]["phone"] == PHONE for e in events(any_added))


def test_categories_are_told_as_tags_are():
    wholesale, contact = CategoryFactory(name="Wholesale"), ContactFactory()
    into = listening("category_added", category=wholesale)
    out_of = listening("category_removed", category=wholesale)
    listening("category_added", category=CategoryFactory())
    for _ in range(2):
        services.add_categories(contact, [wholesale])
    for _ in range(2):
        services.remove_categories(contact, [wholesale])
    assert [(e["change"], e["category"]) for e in events(into)] == [("category_added", "Wholesale")]
    assert [e["change"] for e in events(out_of)] == ["category_removed"]
    assert Event.objects.count() == 2


def test_a_changed_value_comes_with_what_it_was(post, drain, clock):
    plan = AttributeFactory(name="Plan", key="plan")
    of_plan = listening("contact_changed", field="attribute", attribute=plan)
    of_name, of_any = listening("contact_changed", field="name"), listening("contact_changed")
    gold = (SetAttribute, {"attribute": plan, "value": "{{ event.plan }}"})
    source = published([gold, gold], [(ClearAttribute, {"attribute": plan})], mapping=BY_PHONE)
    ContactFactory(phone=PHONE, name="Ana")
    post(source, {"phone": PHONE, "name": "Ana Maria", "plan": "Gold"})
    drain()
    assert [(e["changed"], e["before"], e["after"]) for e in events(of_plan)] == [
        (["attr.plan"], {"attr": {"plan": ""}}, {"attr": {"plan": "Gold"}}),
        (["attr.plan"], {"attr": {"plan": "Gold"}}, {"attr": {"plan": ""}}),
    ]
    (named,) = events(of_name)
    assert (named["before"], named["after"]) == ({"name": "Ana"}, {"name": "Ana Maria"})
    assert len(events(of_any)) == 3


def test_who_is_known_by_email_and_gains_a_number_has_changed():
    connector = listening("contact_changed", field="phone")
    known = ContactFactory(phone=None, email="ana@example.com")
    services.identify(Identity(PHONE, "ana@example.com"), {"name": known.name})
    (event,) = events(connector)
    assert (event["before"], event["after"]) == ({"phone": ""}, {"phone": PHONE})


def test_people_in_the_back_office_cause_changes_too(admin_client, admin_user, drain, clock):
    created, changed = listening("contact_created"), listening("contact_changed")
    owner = listening("owner_changed")
    deleted = listening("contact_deleted", [(AddTag, {"new_tags": "x"})])
    form = {"name": "Ana", "phone": PHONE}
    admin_client.post(reverse("admin:crm_contact_add"), form)
    contact = Contact.objects.get()
    page = reverse("admin:crm_contact_change", args=[contact.pk])
    admin_client.post(page, {**form, "name": "Ana Maria", "owner": admin_user.pk})
    admin_client.post(page, {**form, "name": "Ana Maria", "owner": admin_user.pk})
    (event,) = events(created)
    assert (event["cause"], event["cause_id"]) == ("user", admin_user.pk)
    assert [(e["changed"], e["after"]) for e in events(changed)] == [
        (["name"], {"name": "Ana Maria"})
    ]
    assert [(e["before"], e["after"]) for e in events(owner)] == [
        ({"owner": ""}, {"owner": "admin"})
    ]
    admin_client.post(reverse("admin:crm_contact_delete", args=[contact.pk]), {"post": "yes"})
    (event,) = events(deleted)
    assert event["contact"]["name"] == "Ana Maria" and not Contact.objects.exists()
    drain()
    note = Attempt.objects.get(run__connector=deleted).note
    assert note == "No contact mapped"


def test_a_new_owner_and_a_note_are_told(django_user_model):
    noted, owner = listening("note_added"), listening("owner_changed")
    ana, ben = (django_user_model.objects.create_user(name) for name in ("ana", "ben"))
    contact = ContactFactory(owner=ana)
    for _ in range(2):
        services.change_owner(contact, ben)
    services.add_note(contact, "Called back", "Ben")
    assert [(e["changed"], e["before"], e["after"]) for e in events(owner)] == [
        (["owner"], {"owner": "ana"}, {"owner": "ben"})
    ]
    (event,) = events(noted)
    assert (event["note"], event["author"]) == ("Called back", "Ben")


def test_who_was_merged_into_another_contact_is_that_one():
    connector = listening("tag_added")
    gone, ana = ContactFactory(name="Gone"), ContactFactory(name="Ana")
    merging.merge(gone.pk, ana.pk, "ben")
    services.add_tags(gone, [TagFactory()])
    (event,) = events(connector)
    assert event["contact"]["id"] == Run.objects.get().contact_id == ana.pk


def test_an_erased_past_takes_the_event_of_the_deletion_along(drain, clock):
    deleted = listening("contact_deleted")
    erasing.delete_contact(ContactFactory(name="Ana"), with_history=True)
    assert events(deleted)[0]["contact"]["name"] == "Ana"
    drain()
    assert events(deleted) == [{}]


def test_contacts_deleted_together_are_told_one_by_one(admin_client, drain, clock):
    tag = [(AddTag, {"new_tags": "x"})]
    deleted = listening("contact_deleted", tag)
    chosen = [ContactFactory().pk, ContactFactory().pk]
    admin_client.post(
        reverse("admin:crm_contact_changelist"),
        {"action": "delete_selected", "_selected_action": chosen, "post": "yes"},
    )
    assert sorted(e["contact"]["id"] for e in events(deleted)) == chosen
    drain()
    assert set(Attempt.objects.values_list("note", flat=True)) == {"No contact mapped"}


# --- whom it starts -------------------------------------------------------------------------------


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


# --- once, and at what cost -----------------------------------------------------------------------


@pytest.fixture
def tagger():
    return published([(AddTag, {"new_tags": "vip"})], mapping=BY_PHONE)


def test_a_turn_that_is_done_again_makes_one_event(post, drain, clock, tagger, monkeypatch):
    connector = listening("tag_added")
    lost, write = [], turn._write

    def lose_once(*args):
        write(*args)
        if not lost:
            lost.append(Event.objects.filter(connector=connector).count())
            raise OperationalError("database is locked")

    monkeypatch.setattr(turn, "_write", lose_once)
    post(tagger, {"phone": PHONE})
    drain()
    assert lost == [1]  # it was there, and went with the turn
    assert len(events(connector)) == Run.objects.filter(connector=connector).count() == 1


def test_an_action_that_breaks_after_the_change_takes_its_event_along(
    post, drain, clock, tagger, monkeypatch
):
    connector = listening("tag_added")
    add = services.add_tags

    def break_after(*args, **kwargs):
        add(*args, **kwargs)
        raise RuntimeError("broken")

    monkeypatch.setattr(services, "add_tags", break_after)
    post(tagger, {"phone": PHONE})
    drain()
    assert not ContactTag.objects.exists() and events(connector) == []


def test_what_is_rolled_back_was_never_told():
    connector = listening("tag_added")
    with pytest.raises(SystemExit), transaction.atomic():
        services.add_tags(ContactFactory(), [TagFactory()])
        assert len(events(connector)) == 1
        raise SystemExit
    assert not Event.objects.exists() and not Run.objects.exists()


def looks(work):
    with CaptureQueriesContext(connection) as captured:
        work()
    return [q["sql"] for q in captured.captured_queries if "engine_crmtrigger" in q["sql"]]


def test_a_turn_looks_once_for_who_listens_and_not_at_all_without_a_change(
    post, drain, clock, tagger, monkeypatch
):
    monkeypatch.setattr(turn, "SECONDS", 60)  # all in one turn, however busy the machine is
    for number in range(5):
        post(tagger, {"phone": f"+491511234567{number}"})
    assert len(looks(drain)) == 1
    for number in range(5):
        post(tagger, {"phone": f"+491511234567{number}"})
    assert looks(drain) == []
    assert ContactTag.objects.count() == 5


def test_a_trigger_is_in_force_as_soon_as_it_is_saved(post, drain, clock, tagger):
    connector = ConnectorFactory()
    post(tagger, {"phone": PHONE})
    drain()
    connector = listening("tag_added")
    post(tagger, {"phone": "+4915112345679"})
    drain()
    assert len(events(connector)) == 1


def test_one_change_of_many_contacts_is_a_few_statements(monkeypatch, django_assert_num_queries):
    contacts = [ContactFactory().pk for _ in range(25)]
    connector = listening("tag_added")
    monkeypatch.setattr(crm_changes, "SLICE", 10)
    tag = TagFactory(name="imported")
    change = Change(What.TAG_ADDED, [*contacts, 10**9], tag.pk, tag.name)
    with CaptureQueriesContext(connection) as captured:
        news.tell(change)
    work = [q for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]]
    assert len(work) <= 1 + 3 * 5
    assert [e["contact"]["id"] for e in events(connector)] == contacts
    assert sorted(Run.objects.values_list("contact_id", flat=True)) == sorted(contacts)


# --- pages ----------------------------------------------------------------------------------------


def test_the_pages_say_what_caused_the_event(post, drain, clock, tagger, admin_client):
    connector = listening("tag_added")
    post(tagger, {"phone": PHONE})
    drain()
    event, cause = Event.objects.get(connector=connector), Run.objects.get(connector=tagger)
    link = f'href="{reverse("admin:engine_run_change", args=[cause.pk])}">Run {cause.pk}</a>'
    shown = admin_client.get(reverse("admin:engine_event_change", args=[event.pk])).text
    assert f'CRM change by <a class="sb-link" {link}' in shown
    started = Run.objects.get(connector=connector)
    shown = admin_client.get(reverse("admin:engine_run_change", args=[started.pk])).text
    assert f'CRM change by <a class="sb-link" {link}' in shown
    shown = admin_client.get(reverse("admin:engine_run_change", args=[cause.pk])).text
    assert "Started by its changes" in shown and f">Run {started.pk}</a>" in shown
    assert "CRM change by <a" in admin_client.get(reverse("admin:engine_event_changelist")).text


@pytest.mark.parametrize("what", [what for what, _ in What.choices])
def test_an_example_has_the_shape_of_what_comes(what, admin_client):
    attribute = AttributeFactory()
    narrowed = (
        {"field": "attribute", "attribute": attribute} if what == What.CONTACT_CHANGED else {}
    )
    connector = listening(what, **narrowed)
    trigger = CrmTrigger.objects.get()
    values = {"owner": "x"} if what == What.OWNER_CHANGED else {"attr": {attribute.key: "x"}}
    told = {}
    if what in crm_changes.MARKS:
        told = {"mark_id": 1, "mark": "x"}
    elif what == What.NOTE_ADDED:
        told = {"more": {"note": "x", "author": "x"}}
    elif what in (What.OWNER_CHANGED, What.CONTACT_CHANGED):
        names = list(values) if "owner" in values else [f"attr.{attribute.key}"]
        told = {"changed": names, "before": values, "after": values}
    news.tell(Change(What(what), [ContactFactory().pk], **told))
    (event,) = events(connector)
    assert paths(crm_changes.example(trigger)) == paths(event)


def paths(value, path=""):
    if not isinstance(value, dict):
        return {path}
    return {found for key, inner in value.items() for found in paths(inner, f"{path}.{key}")}
