"""Merging, undoing and deleting from the pages."""

import pytest
from django.urls import reverse

from apps.crm import attributes, merging, services
from apps.crm.models import Contact, Erasure, Merge
from apps.engine.models import Event, Run
from tests.factories import AttributeFactory, ConnectorFactory, ContactFactory, TagFactory

pytestmark = pytest.mark.django_db
LIST = reverse("admin:crm_contact_changelist")


@pytest.fixture
def ana():
    ana = ContactFactory(name="Ana Berger", phone="+4915112345678", email="ana@example.org")
    services.add_tags(ana, [TagFactory(name="vip")])
    attributes.set_attribute(ana, AttributeFactory(name="Plan", key="plan"), "Gold")
    return ana


@pytest.fixture
def anna():
    return ContactFactory(name="A. Berger", phone="+4915187654321")


def page(name, *args):
    return reverse(f"admin:crm_contact_{name}", args=args)


def test_the_other_one_is_searched_for(admin_client, ana, anna):
    search = page("change", ana.pk).replace("change/", "merge/")
    assert search.rstrip("/") in admin_client.get(page("change", ana.pk)).text
    text = admin_client.get(search, {"q": "berger"}).text
    assert page("merge", ana.pk, anna.pk) in text
    assert page("merge", ana.pk, ana.pk) not in text
    assert "No other contact was found." in admin_client.get(search, {"q": "nobody"}).text
    for number in range(11):
        ContactFactory(name=f"Berger {number}")
    assert "There are more" in admin_client.get(search, {"q": "berger"}).text


def test_both_are_shown_side_by_side_and_merged_when_confirmed(admin_client, ana, anna):
    text = admin_client.get(page("merge", anna.pk, ana.pk)).text
    assert all(word in text for word in ("Ana Berger", "A. Berger", "vip", "Gold", "Afterwards"))
    assert page("merge", ana.pk, anna.pk) in text  # the other way round
    assert not Merge.objects.exists()
    answer = admin_client.post(page("merge", anna.pk, ana.pk), follow=True)
    assert answer.redirect_chain[-1][0] == page("change", anna.pk)
    assert "was merged into this contact" in answer.text
    assert list(Contact.objects.all()) == [anna]
    assert Merge.objects.get().who == "admin"


def test_who_was_merged_is_in_no_list_and_leads_to_the_survivor(admin_client, ana, anna):
    merging.merge(ana.pk, anna.pk, "ben")
    assert ">Ana Berger<" not in admin_client.get(LIST).text
    answer = admin_client.get(page("change", ana.pk), follow=True)
    assert answer.redirect_chain[-1][0] == page("change", anna.pk)
    assert f"Contact {ana.pk} was merged into" in answer.text
    assert admin_client.post(page("merge", anna.pk, ana.pk)).status_code == 404


def test_the_page_shows_the_history_of_both(admin_client, ana, anna):
    connector = ConnectorFactory(name="Orders")
    event = Event.objects.create(connector=connector)
    for contact in (ana, anna):
        Run.objects.create(
            event=event,
            connector=connector,
            revision_id=1,
            contact=contact,
            wake_at=event.received_at,
            state="done",
        )
    merging.merge(ana.pk, anna.pk, "ben")
    text = admin_client.get(page("change", anna.pk)).text
    assert text.count("Orders") == 2


def test_a_merge_is_undone_after_asking(admin_client, ana, anna):
    made = merging.merge(ana.pk, anna.pk, "ben")
    services.remove_tags(anna, [services.tag_named("vip")])
    undo = page("undo", made.pk)
    assert undo in admin_client.get(page("change", anna.pk)).text
    assert "Undo the merge of" in admin_client.get(undo).text
    answer = admin_client.post(undo, follow=True).text
    assert "The merge was undone" in answer and "was taken off since" in answer
    assert Contact.objects.count() == 2
    assert "Undone by admin" in admin_client.get(page("change", anna.pk)).text
    assert "undone already" in admin_client.post(undo, follow=True).text
    assert admin_client.get(page("undo", 999)).status_code == 404


def test_a_merge_with_itself_is_refused(admin_client, ana):
    answer = admin_client.post(page("merge", ana.pk, ana.pk), follow=True)
    assert "can&#x27;t be merged with itself" in answer.text


@pytest.mark.parametrize("with_history", [False, True])
def test_deleting_asks_and_then_begins_to_erase(admin_client, admin_user, ana, with_history):
    text = admin_client.get(page("delete", ana.pk)).text
    assert "Erase with history" in text and Contact.objects.exists()
    posted = {"confirmed": "1", **({"with_history": "1"} if with_history else {})}
    answer = admin_client.post(page("delete", ana.pk), posted, follow=True)
    assert answer.redirect_chain[-1][0] == LIST
    assert "was deleted." in answer.text
    job = Erasure.objects.get()
    assert (job.with_history, job.cause, job.cause_id) == (with_history, "user", admin_user.pk)
    assert admin_client.get(page("change", ana.pk)).status_code == 302
    assert ">Ana Berger<" not in admin_client.get(LIST).text


def test_several_are_deleted_from_the_list(admin_client, ana, anna):
    kept = ContactFactory()
    chosen = {"action": "delete_selected", "_selected_action": [ana.pk, anna.pk]}
    assert "The contact &quot;Ana Berger&quot;" in admin_client.post(LIST, chosen).text
    admin_client.post(LIST, {**chosen, "post": "yes"})
    assert list(Contact.objects.all()) == [kept]
    assert Erasure.objects.count() == 2


def test_runs_of_a_deleted_contact_say_so(admin_client, drain, ana):
    connector = ConnectorFactory(name="Orders")
    event = Event.objects.create(connector=connector)
    run = Run.objects.create(
        event=event,
        connector=connector,
        revision_id=1,
        contact=ana,
        wake_at=event.received_at,
        state="done",
    )
    admin_client.post(page("delete", ana.pk), {"confirmed": "1"})
    for _ in range(2):
        text = admin_client.get(reverse("admin:engine_run_change", args=[run.pk])).text
        assert f"Contact {ana.pk} (deleted)" in text
        drain()
