"""The event source *CRM change*: what is told of a change, and how the pages show it."""

import pytest
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.clear_attribute import ClearAttribute
from apps.actions.kinds.remove_tag import RemoveTag
from apps.actions.kinds.set_attribute import SetAttribute
from apps.actions.kinds.stop import StopRun
from apps.crm import erasing, merging, news, services
from apps.crm.models import Contact, ContactTag
from apps.crm.news import Change, What
from apps.crm.services import Identity
from apps.engine import crm_changes
from apps.engine.models import Attempt, CrmTrigger, Event, Run
from tests.engine.crm_listening import BY_PHONE, PHONE, events, listening, tags_whom_it_maps
from tests.factories import AttributeFactory, CategoryFactory, ContactFactory, TagFactory, published

pytestmark = pytest.mark.django_db


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


@pytest.fixture
def tagger():
    return tags_whom_it_maps()


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
