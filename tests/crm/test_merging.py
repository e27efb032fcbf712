"""Two contacts of one person become one, and two again."""

import pytest

from apps.crm import attributes, services
from apps.crm.merging import NotMergeable, merge, undo
from apps.crm.models import AttributeValue, Contact, ContactCategory, ContactTag, Merge, Note, Tag
from apps.crm.services import Identity
from tests.factories import (
    AttributeFactory,
    CategoryFactory,
    ContactFactory,
    TagFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

ONE, OTHER = "+4915112345678", "+4915187654321"


@pytest.fixture
def ana():
    """The one that is merged into `anna`: with more than she has, and some of the same."""
    ana = ContactFactory(phone=ONE, email="ana@example.org", name="Ana", country="DE")
    services.add_tags(ana, [TagFactory(name="vip"), TagFactory(name="buyer")], "run", 7)
    services.add_categories(ana, [CategoryFactory(name="Leads")])
    for key, value in (("plan", "Gold"), ("city", "Bonn")):
        attributes.set_attribute(ana, AttributeFactory(name=key, key=key), value)
    services.add_note(ana, "Called", "ben")
    return ana


@pytest.fixture
def anna(ana):
    anna = ContactFactory(phone=OTHER, name="Anna", owner=UserFactory(username="ben"))
    services.add_tags(anna, [services.tag_named("vip"), TagFactory(name="old")])
    attributes.set_attribute(anna, attribute("plan"), "Silver")
    return anna


def attribute(key):
    return AttributeFactory._meta.model.objects.get(key=key)


def belongings():
    """All that any contact has, but for when it was written."""
    contacts = Contact.everyone.order_by("pk").values()
    columns = ["contact", "cause", "cause_id", "created_at"]
    tags = sorted(ContactTag.objects.values_list("tag", *columns))
    categories = sorted(ContactCategory.objects.values_list("category", *columns))
    links = [tags, categories]
    values = sorted(AttributeValue.objects.values_list("contact", "attribute", "text"))
    return list(contacts), links, values, list(Note.objects.order_by("pk").values())


def tags_of(contact):
    return sorted(contact.tag_links.values_list("tag__name", flat=True))


def values_of(contact):
    return attributes.values_of([contact.pk])[contact.pk]


def test_the_survivor_gets_what_it_lacked_and_keeps_what_it_had(ana, anna):
    merge(ana.pk, anna.pk, "ben")
    anna.refresh_from_db()
    assert (anna.name, anna.phone, anna.owner.username) == ("Anna", OTHER, "ben")
    assert (anna.email, anna.country) == ("ana@example.org", "DE")
    assert tags_of(anna) == ["buyer", "old", "vip"]
    assert [str(link) for link in anna.category_links.all()] == ["Leads"]
    assert values_of(anna) == {"plan": "Silver", "city": "Bonn"}
    assert anna.notes.get().text == "Called"
    assert list(Contact.objects.all()) == [anna]
    assert not ContactTag.objects.exclude(contact=anna).exists()


@pytest.mark.parametrize(
    "identity", [Identity(ONE, ""), Identity(OTHER, ""), Identity(None, "ana@example.org")]
)
def test_the_survivor_is_found_by_all_numbers_and_addresses(ana, anna, identity):
    merge(ana.pk, anna.pk, "ben")
    assert services.find(identity) == anna
    contact, created = services.identify(identity, {"name": "Anna B."})
    assert (contact, created) == (anna, False)
    anna.refresh_from_db()
    assert anna.name == "Anna B."


def test_undoing_it_gives_each_what_it_had(ana, anna):
    before = belongings()
    made = merge(ana.pk, anna.pk, "ben")
    assert belongings() != before
    assert undo(made.pk, "eva") == []
    assert belongings() == before
    made.refresh_from_db()
    assert (made.who, made.undone_by) == ("ben", "eva")
    assert services.find(Identity(ONE, "")) == ana


def test_a_number_moves_to_a_survivor_without_one_and_back(ana):
    anna = ContactFactory(phone=None, email="ana@EXAMPLE.org", name="")
    before = belongings()
    made = merge(ana.pk, anna.pk, "ben")
    for identity in (Identity(ONE, ""), Identity(None, "ana@example.org")):
        assert services.find(identity) == anna
    anna.refresh_from_db()
    assert (anna.phone, anna.name, anna.email) == (ONE, "Ana", "ana@EXAMPLE.org")
    assert undo(made.pk, "ben") == []
    assert belongings() == before


def test_what_was_changed_since_stays_and_is_told(ana, anna):
    made = merge(ana.pk, anna.pk, "ben")
    Contact.objects.filter(pk=anna.pk).update(country="AT")
    services.remove_tags(anna, [services.tag_named("buyer")])
    services.add_tags(anna, [services.tag_named("new")])
    attributes.set_attribute(anna, attribute("city"), "Wien")
    Tag.objects.get(name="vip").delete()
    assert undo(made.pk, "ben") == [
        "The country was changed since and stays as it is.",
        'The tag "buyer" was taken off since and stays so.',
        'The tag "vip" was taken off since and stays so.',
        'The attribute "city" was changed since and stays as it is.',
    ]
    ana.refresh_from_db()
    anna.refresh_from_db()
    assert (tags_of(ana), tags_of(anna)) == ([], ["new", "old"])
    assert (ana.country, anna.country, anna.email) == ("DE", "AT", "")
    assert values_of(ana) == {"plan": "Gold"}
    assert values_of(anna) == {"plan": "Silver", "city": "Wien"}


def test_merges_in_a_row_lead_to_the_last_and_are_undone_from_the_last(ana, anna):
    last = ContactFactory(phone="+4915100000000", name="")
    first = merge(ana.pk, anna.pk, "ben")
    second = merge(anna.pk, last.pk, "ben")
    assert services.find(Identity(ONE, "")) == last
    assert last.ids == sorted([ana.pk, anna.pk, last.pk])
    assert tags_of(last) == ["buyer", "old", "vip"]
    with pytest.raises(NotMergeable, match=r'"Anna" was merged into "Anna" since: undo that merge'):
        undo(first.pk, "ben")
    assert undo(second.pk, "ben") == undo(first.pk, "ben") == []
    assert tags_of(ana) == ["buyer", "vip"]
    with pytest.raises(NotMergeable, match="undone already"):
        undo(first.pk, "ben")


def test_nobody_is_merged_with_themselves_in_a_circle_or_twice(ana, anna):
    with pytest.raises(NotMergeable, match="with itself"):
        merge(ana.pk, ana.pk, "ben")
    merge(ana.pk, anna.pk, "ben")
    for loser, survivor in ((anna, ana), (ana, anna)):
        with pytest.raises(NotMergeable, match="was merged or deleted meanwhile"):
            merge(loser.pk, survivor.pk, "ben")
    with pytest.raises(NotMergeable, match="is gone"):
        merge(anna.pk, 999_999, "ben")
    assert Merge.objects.count() == 1


def test_a_merge_that_would_leave_somebody_nameless_is_not_undone(ana):
    anna = ContactFactory(phone=None, email="anna@example.org")
    made = merge(ana.pk, anna.pk, "ben")
    ContactFactory(phone=None, email="Anna@example.org")
    with pytest.raises(NotMergeable, match=f"Without the number \\{ONE} nothing would say who"):
        undo(made.pk, "ben")
    Contact.objects.filter(pk=anna.pk).update(phone=OTHER)
    with pytest.raises(NotMergeable, match="was changed since"):
        undo(made.pk, "ben")


def test_a_merge_whose_loser_would_share_its_address_is_not_undone(anna):
    """An address alone says who the loser is, and by now it says so of somebody else."""
    ana = ContactFactory(phone=None, email="ana@example.org")
    made = merge(ana.pk, anna.pk, "ben")
    Contact.everyone.filter(pk=ana.pk).update(email="")
    ContactFactory(phone=None, email="Ana@example.org")
    before = belongings()
    with pytest.raises(NotMergeable) as refused:
        undo(made.pk, "ben")
    assert str(refused.value) == (
        "Another contact is known by ana@example.org by now, so the merge can't be undone."
    )
    assert belongings() == before


def test_what_a_run_in_hand_writes_goes_to_the_survivor(ana, anna):
    """It read the contact a moment before the merge."""
    merge(ana.pk, anna.pk, "ben")
    services.add_tags(ana, [services.tag_named("late")])
    services.add_categories(ana, [services.category_named("Late")])
    attributes.set_attribute(ana, attribute("plan"), "Late")
    services.add_note(ana, "Late", "ben")
    assert "late" in tags_of(anna)
    assert "Late" in [str(link) for link in anna.category_links.all()]
    assert values_of(anna)["plan"] == "Late"
    assert anna.notes.filter(text="Late").exists()


def test_an_address_that_says_who_somebody_is_stays_when_that_of_a_merged_one_comes():
    old, new = ContactFactory(email="old@example.org"), ContactFactory(email="new@example.org")
    for contact in (old, new):
        Contact.objects.filter(pk=contact.pk).update(phone=None)
    merge(old.pk, new.pk, "ben")
    found, created = services.identify(Identity(None, "old@example.org"), {"name": "Ana"})
    assert (found.pk, created) == (new.pk, False)
    new.refresh_from_db()
    assert (new.email, new.name) == ("new@example.org", "Ana")


@pytest.mark.parametrize("later", ["loser", "survivor"])
def test_the_later_of_the_two_last_interactions_counts(ana, anna, clock, later):
    before = clock.now
    after = clock.tick(days=1)
    times = {"loser": before, "survivor": before, later: after}
    for contact, which in ((ana, "loser"), (anna, "survivor")):
        Contact.objects.filter(pk=contact.pk).update(last_interaction_at=times[which])
    merge(ana.pk, anna.pk, "ben")
    anna.refresh_from_db()
    assert anna.last_interaction_at == after


@pytest.mark.parametrize("of_whom", [ONE, OTHER, None])
def test_an_interaction_of_one_of_them_or_of_none(ana, anna, clock, of_whom):
    Contact.objects.filter(phone=of_whom).update(last_interaction_at=clock.now)
    merge(ana.pk, anna.pk, "ben")
    anna.refresh_from_db()
    assert anna.last_interaction_at == (clock.now if of_whom else None)


def addresses(*contacts):
    rows = dict(Contact.everyone.values_list("pk", "email"))
    return [rows[contact.pk] for contact in contacts]


def test_a_loser_without_its_number_keeps_an_address_that_leads_here_alone(ana):
    anna = ContactFactory(phone=None, email="anna@example.org")
    merge(ana.pk, anna.pk, "ben")
    assert addresses(ana, anna) == ["ana@example.org", "anna@example.org"]
    assert services.find(Identity(None, "ana@example.org")) == anna


@pytest.mark.parametrize("email", ["ana@example.org", "Ana@Example.org"])
def test_the_address_that_both_have_stays_with_the_survivor_alone(ana, email):
    """Or an address would say who somebody is, and lead to a row that was merged away."""
    anna = ContactFactory(phone=None, email=email)
    merge(ana.pk, anna.pk, "ben")
    assert addresses(ana, anna) == ["", email]


def test_an_address_by_which_somebody_else_is_known_is_not_kept(ana):
    anna = ContactFactory(phone=None, email="anna@example.org")
    eva = ContactFactory(phone=None, email="ANA@example.org")
    merge(ana.pk, anna.pk, "ben")
    assert addresses(ana, anna, eva) == ["", "anna@example.org", "ANA@example.org"]
    assert services.find(Identity(None, "ana@example.org")) == eva
