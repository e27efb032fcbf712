"""Finding many people at once finds the same ones as finding each of them."""

import pytest

from apps.crm.models import Contact
from apps.crm.services import Identity, find, find_many

pytestmark = pytest.mark.django_db

ANNA, BEN, CARA = "+4915112345678", "+4915112345679", "+4915112345670"
IDENTITIES = [
    Identity(phone, email)
    for phone in (ANNA, BEN, CARA, None)
    for email in ("a@x.org", "b@x.org", "both@x.org", "no@x.org", "")
    if phone or email
]


@pytest.fixture(autouse=True)
def people(db):
    Contact.objects.create(phone=ANNA, email="both@x.org")
    Contact.objects.create(phone=BEN, email="BOTH@x.org")
    Contact.objects.create(phone="+4915112345671", email="a@x.org")
    Contact.objects.create(email="both@x.org")
    Contact.objects.create(email="b@x.org")


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


def test_it_takes_three_statements(django_assert_num_queries):
    with django_assert_num_queries(3):
        find_many(IDENTITIES)
    assert find_many([]).find(IDENTITIES[0]) is None
