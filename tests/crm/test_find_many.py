"""Finding many people at once finds the same ones as finding each of them."""

import pytest

from apps.core.jobs import Again
from apps.crm import erasing, merging
from apps.crm.known import find_many
from apps.crm.models import Contact
from apps.crm.services import Identity, find

pytestmark = pytest.mark.django_db

ANNA, BEN, CARA = "+4915112345678", "+4915112345679", "+4915112345670"
LONG, SHORT = "+5511987654321", "+551187654321"
GONE, LEFT = "+4915112345611", "+4915112345612"
IDENTITIES = [
    Identity(phone, email)
    for phone in (ANNA, BEN, CARA, LONG, SHORT, GONE, LEFT, None)
    for email in ("a@x.org", "b@x.org", "both@x.org", "gone@x.org", "left@x.org", "no@x.org", "")
    if phone or email
]


@pytest.fixture(autouse=True)
def people(db):
    Contact.objects.create(phone=ANNA, email="both@x.org")
    Contact.objects.create(phone=BEN, email="BOTH@x.org")
    Contact.objects.create(phone="+4915112345671", email="a@x.org")
    Contact.objects.create(email="both@x.org")
    ben = Contact.objects.create(email="b@x.org")
    Contact.objects.create(phone=SHORT)
    merged(Contact.objects.create(email="gone@x.org"), ben)
    olga = Contact.objects.create(phone="+4915112345610")
    merged(Contact.objects.create(phone=GONE), merged(Contact.objects.create(phone=LEFT), olga))
    Contact.objects.create(phone="+4915112345613", email="left@x.org")
    erasing.delete_contact(Contact.objects.get(phone="+4915112345613"))


def merged(loser, survivor):
    merging.merge(loser.pk, survivor.pk, "ben")
    return survivor


@pytest.mark.parametrize("lock", [False, True])
def test_each_is_the_one_that_find_finds(lock):
    known = find_many(IDENTITIES, lock)
    for identity in IDENTITIES:
        assert known.find(identity) == find(identity), identity


def test_who_gains_a_number():
    known = find_many(IDENTITIES)
    ben = known.claimable(Identity(CARA, "b@x.org"))
    assert ben == Contact.objects.get(email="b@x.org")
    assert known.claimable(Identity(CARA, "a@x.org")) is None  # has another number
    assert known.claimable(Identity(ANNA, "b@x.org")) is None  # somebody else's number
    assert known.claimable(Identity(None, "b@x.org")) is None
    known.claim(ben, CARA)
    assert known.find(Identity(CARA, "")) is ben
    assert known.claimable(Identity(BEN, "b@x.org")) is None


def test_who_gains_a_number_by_the_address_of_somebody_merged():
    ben = Contact.objects.get(email="b@x.org")
    known = find_many(IDENTITIES)
    assert known.find(Identity(None, "gone@x.org")) == ben
    assert known.claimable(Identity(CARA, "gone@x.org")) == ben
    known.claim(ben, SHORT)
    assert known.find(Identity(LONG, "")) is ben


def test_who_was_merged_this_very_moment_is_looked_for_again(monkeypatch):
    """As when the merge commits after the first look: a row leads to one that was not read."""
    monkeypatch.setattr("apps.crm.known._leads", lambda where, values: {loser.pk: None})
    loser = Contact.everyone.get(email="gone@x.org")
    with pytest.raises(Again):
        find_many([Identity(None, "gone@x.org")], lock=True)


def test_it_takes_three_statements_and_one_more_for_the_merged(django_assert_num_queries):
    with django_assert_num_queries(3):
        find_many([Identity(ANNA, "b@x.org")])
    with django_assert_num_queries(4):
        find_many([Identity(GONE, "gone@x.org")])
    assert find_many([]).find(IDENTITIES[0]) is None
