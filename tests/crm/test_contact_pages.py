"""The pages of contacts."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.send_message import SendMessage
from apps.crm.models import Contact
from apps.crm.services import add_tags
from tests.factories import ChannelFactory, ContactFactory, TagFactory, published

pytestmark = pytest.mark.django_db
LIST = reverse("admin:crm_contact_changelist")
ADD = reverse("admin:crm_contact_add")
NOT_A_NUMBER = "This is not a valid mobile number: it needs the country code."


def form(**values):
    fields = ("name", "phone", "email", "timezone", "country", "owner")
    return {**dict.fromkeys(fields, ""), **values}


def page_of(contact):
    return reverse("admin:crm_contact_change", args=[contact.pk])


def test_a_number_is_kept_in_one_form(admin_client):
    admin_client.post(ADD, form(name="Ana", phone="0049 (151) 1234-5678", country="de"))
    ana = Contact.objects.get()
    assert (ana.name, ana.phone, ana.country) == ("Ana", "+4915112345678", "DE")


@pytest.mark.parametrize("typed", ["0151 12345678", "abc", "+49 1"])
def test_a_number_without_country_code_is_refused(typed, admin_client):
    assert NOT_A_NUMBER in admin_client.post(ADD, form(phone=typed)).content.decode()
    assert not Contact.objects.exists()


def test_what_identifies_nobody_or_somebody_else_is_refused(admin_client):
    ContactFactory(phone="+4915112345678")
    ContactFactory(phone=None, email="ben@example.com")

    def answer(**values):
        return admin_client.post(ADD, form(**values)).content.decode()

    assert "Fill in a mobile number or an email address." in answer(name="Nobody")
    assert "with this mobile number already" in answer(phone="+49 151 12345678")
    assert "There is a contact with this email address already." in answer(email="BEN@example.com")
    assert "This is not a timezone" in answer(phone="+4915112345679", timezone="Berlin")
    assert "This is not a country" in answer(phone="+4915112345679", country="D1")
    assert Contact.objects.count() == 2


def test_saving_writes_only_what_was_changed(admin_client):
    ana = ContactFactory(name="Ana", phone="+4915112345678", email="ana@example.com")
    values = form(name="Ana B.", phone=ana.phone, email=ana.email)
    with CaptureQueriesContext(connection) as captured:
        admin_client.post(page_of(ana), values)
    updates = [q["sql"] for q in captured if q["sql"].startswith('UPDATE "crm_contact"')]
    assert len(updates) == 1 and '"name" =' in updates[0] and '"email" =' not in updates[0]
    ana.refresh_from_db()
    assert ana.name == "Ana B."


def test_the_page_shows_tags_runs_and_messages(post, drain, admin_client):
    columns = {
        "channel": ChannelFactory(name="Shop line"),
        "recipients": [{"to": "{{ contact.phone }}"}],
        "text": "Hello Ana",
    }
    connector = published(
        [(SendMessage, columns)], name="Orders", mapping={"phone": "{{ event.phone }}"}
    )
    post(connector, {"phone": "+4915112345678"})
    drain()
    ana = Contact.objects.get()
    add_tags(ana, [TagFactory(name="vip"), TagFactory(name="buyer")])
    page = admin_client.get(page_of(ana)).content.decode()
    assert ">buyer</option>" in page and ">vip</option>" in page
    assert "Latest runs" in page and "Orders" in page and "sb-is-done" in page
    assert "Latest messages" in page and "Hello Ana" in page and "Shop line" in page


def test_a_contact_without_a_past_has_empty_tables(admin_client):
    page = admin_client.get(page_of(ContactFactory())).content.decode()
    assert page.count("None yet.") == 2
    assert "Latest runs" not in admin_client.get(ADD).content.decode()


def test_search_finds_by_number_email_and_part_of_the_name(admin_client):
    ContactFactory(name="Ana Berger", phone="+4915112345678", email="Ana@example.com")
    ContactFactory(name="Ben", phone="+4915112345999")

    def found(term):
        page = admin_client.get(LIST, {"q": term}).content.decode()
        return [name for name in ("Ana Berger", "Ben") if f">{name}<" in page]

    assert found("0049 151 12345678") == ["Ana Berger"]
    assert found("ana@EXAMPLE.com") == ["Ana Berger"]
    assert found("berg") == ["Ana Berger"]
    assert found("nobody") == []


def test_the_list_takes_the_same_queries_for_any_number_of_rows(admin_client):
    tags = [TagFactory(name="vip"), TagFactory(name="buyer")]

    def queries():
        with CaptureQueriesContext(connection) as captured:
            page = admin_client.get(LIST).content.decode()
        assert not [q for q in captured if "COUNT(" in q["sql"].upper()]
        return len(captured), page

    add_tags(ContactFactory(), tags)
    few, page = queries()
    assert "vip" in page and "buyer" in page
    for _ in range(20):
        add_tags(ContactFactory(), tags)
    assert queries()[0] == few
