import pytest

from apps.actions.kinds.change_owner import ChangeOwner
from apps.crm.models import Contact
from apps.engine.models import Run
from tests.factories import ContactFactory, UserFactory, published

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}
BY_EMAIL = {"email": "{{ event.to }}"}


@pytest.fixture
def ben():
    return UserFactory(username="ben", email="Ben@Example.org")


def owner():
    return Contact.objects.get(phone=PHONE).owner


def test_a_chosen_user_becomes_the_owner_of_this_contact_alone(happen, told, ben):
    other = ContactFactory()
    run = happen([(ChangeOwner, {"owner": ben})], event=ANA, mapping=BY_PHONE)
    assert owner() == ben
    other.refresh_from_db()
    assert other.owner is None
    entry = told(run, "change_owner")
    assert (entry.result, entry.note) == ("done", "ben is now the owner")
    assert entry.went_in == {"new owner": "ben"}


def test_a_user_is_found_by_email(happen, ben):
    happen([(ChangeOwner, BY_EMAIL)], event={**ANA, "to": " ben@EXAMPLE.org "}, mapping=BY_PHONE)
    assert owner() == ben


def test_who_is_the_owner_stays_so(happen, told, ben):
    ContactFactory(phone=PHONE, owner=ben)
    run = happen([(ChangeOwner, {"owner": ben})], event=ANA, mapping=BY_PHONE)
    entry = told(run, "change_owner")
    assert (entry.result, entry.note, owner()) == ("done", "ben was the owner already", ben)


@pytest.mark.parametrize(
    ("to", "sentence"),
    [
        ("nobody@example.org", '"nobody@example.org" is not the email address of one active user.'),
        ("gone@example.org", '"gone@example.org" is not the email address of one active user.'),
        ("two@example.org", '"two@example.org" is not the email address of one active user.'),
        ("", "The email address of the new owner is empty."),
    ],
)
@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_nobody_in_particular_fails_with_a_sentence(
    happen, told, ben, to, sentence, on_error, state
):
    UserFactory(email="gone@example.org", is_active=False)
    UserFactory(email="two@example.org")
    UserFactory(email="two@example.org")
    ContactFactory(phone=PHONE, owner=ben)
    columns = {**BY_EMAIL, "on_error": on_error}
    run = happen([(ChangeOwner, columns)], event={**ANA, "to": to}, mapping=BY_PHONE)
    entry = told(run, "change_owner")
    assert (entry.result, entry.note, run.state, owner()) == ("failed", sentence, state, ben)


def test_a_chosen_user_who_is_not_active_any_more_fails(post, drain, clock, told, ben):
    connector = published([(ChangeOwner, {"owner": ben})], mapping=BY_PHONE)
    ben.is_active = False
    ben.save()
    post(connector, ANA)
    drain()
    entry = told(Run.objects.get(), "change_owner")
    assert entry.result == "failed"
    assert entry.note == 'The user "ben" is not active any more: choose another one.'
    assert owner() is None


def test_a_chosen_user_who_is_gone_fails(post, drain, clock, told, ben):
    connector = published([(ChangeOwner, {"owner": ben})], mapping=BY_PHONE)
    ChangeOwner.objects.all().delete()  # from the draft, which frees the user
    ben.delete()
    post(connector, ANA)
    drain()
    assert told(Run.objects.get(), "change_owner").note == 'User "ben" was deleted'


def test_without_a_contact_it_is_skipped(happen, told, ben):
    run = happen([(ChangeOwner, {"owner": ben})])
    assert told(run, "change_owner").note == "No contact mapped"


def test_a_turn_done_again_ends_the_same(happen, lost_turn, told, ben):
    run = happen([(ChangeOwner, {"owner": ben})], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state, owner()) == ([True], "done", ben)
    assert told(run, "change_owner").note == "ben is now the owner"


def test_what_is_missing_is_a_problem(ben):
    missing = "Choose the new owner or fill in an email address."
    assert ChangeOwner().problems() == [missing]
    assert ChangeOwner(owner=ben, email="x").problems() == [missing[:-1] + ", not both."]
    assert ChangeOwner(owner=ben).problems() == ChangeOwner(email="{{ event.to }}").problems() == []
    ben.is_active = False
    gone = 'The user "ben" is not active any more: choose another one.'
    assert ChangeOwner(owner=ben).problems() == [gone]


def test_a_user_who_is_chosen_can_not_be_deleted(admin_client, ben):
    published([(ChangeOwner, {"owner": ben})], name="Orders")
    answer = admin_client.post(f"/admin/auth/user/{ben.pk}/delete/", {"post": "yes"}, follow=True)
    text = answer.content.decode()
    assert "can&#x27;t be deleted: it is used by" in text and "Orders" in text
    assert type(ben).objects.filter(pk=ben.pk).exists()
