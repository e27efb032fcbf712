import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.remove_from_optout import RemoveFromOptout
from apps.crm.models import Tag
from apps.messaging import lists
from apps.messaging.lists import Entry
from apps.messaging.models import Application, OptOut
from tests.factories import ChannelFactory, ContactFactory, OptOutListFactory

pytestmark = pytest.mark.django_db

PHONE, MAIL = "+4915112345678", "ana@example.org"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}
NEXT = (AddTag, {"new_tags": "next"})


@pytest.fixture
def shop():
    return ChannelFactory(name="Shop")


@pytest.fixture
def ana():
    return ContactFactory(phone=PHONE, email="Ana@Example.org")


SYSTEM = "All automated messages"


@pytest.fixture
def news():
    return OptOutListFactory(name="Newsletter")


def opting_in(channel=None, address="", chosen=(), **more):
    channels = "one" if channel else "all"
    rows = {"lists": [{"list": one} for one in chosen]}
    columns = {"channel": channel, "channels": channels, "address": address, "rows": rows}
    return RemoveFromOptout, {**columns, **more}


def opt_out(channel, *chosen, address=PHONE):
    lists.add_to_optout(chosen or [lists.system_list()], [Entry(channel.pk, address)])


def opted_out():
    rows = OptOut.objects.order_by("list__name", "channel__name", "address")
    return list(rows.values_list("list__name", "channel__name", "address"))


def test_without_a_list_it_is_the_systems_alone(happen, told, shop, news):
    opt_out(shop, lists.system_list(), news)
    run = happen([opting_in(shop)], event=ANA, mapping=BY_PHONE)
    assert opted_out() == [("Newsletter", "Shop", PHONE)]
    entry = told(run, "remove_from_optout")
    assert (entry.result, entry.note) == ("done", f"Removed: {PHONE} on Shop ({SYSTEM})")


def test_several_lists_and_all_channels_and_what_was_not_there_is_told(
    happen, told, shop, ana, news
):
    mail = ChannelFactory(name="Mail", application=Application.EMAIL)
    offers = OptOutListFactory(name="Offers")
    opt_out(mail, news, address=MAIL)
    opt_out(shop, news, offers)
    run = happen([opting_in(chosen=[news, offers])], event=ANA, mapping=BY_PHONE)
    assert opted_out() == []
    assert told(run, "remove_from_optout").note == (
        f"Removed: {MAIL} on Mail; {PHONE} on Shop (Newsletter); {PHONE} on Shop (Offers). "
        f"Not on the list: {MAIL} on Mail (Offers)"
    )
    run = happen([opting_in(shop, chosen=[news])], event=ANA, mapping=BY_PHONE)
    entry = told(run, "remove_from_optout")
    assert (entry.result, entry.note) == ("done", f"Not on the list: {PHONE} on Shop (Newsletter)")


def test_a_typed_address_needs_no_contact(happen, shop):
    opt_out(shop)
    happen([opting_in(shop, "{{ event.who }}")], event={"who": "0049 151 12345678"})
    assert opted_out() == []


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_a_bad_address_fails_and_removes_nobody(happen, told, shop, on_error, state):
    opt_out(shop)
    steps = [opting_in(shop, "{{ event.who }}", on_error=on_error), NEXT]
    run = happen(steps, event=ANA, mapping=BY_PHONE)
    entry = told(run, "remove_from_optout")
    note = "The number or email address is empty, so no list was changed."
    assert (entry.result, entry.note, run.state) == ("failed", note, state)
    assert opted_out() == [(SYSTEM, "Shop", PHONE)]
    assert Tag.objects.exists() is (on_error == "continue")


def test_without_a_contact_and_an_address_it_is_skipped(happen, told, shop):
    opt_out(shop)
    entry = told(happen([opting_in(shop)]), "remove_from_optout")
    assert (entry.result, entry.note) == ("skipped", "No contact mapped")
    assert opted_out() == [(SYSTEM, "Shop", PHONE)]


def test_a_turn_done_again_removes_once(happen, told, lost_turn, shop):
    opt_out(shop)
    run = happen([opting_in(shop)], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state, opted_out()) == ([True], "done", [])
    assert told(run, "remove_from_optout").note == f"Removed: {PHONE} on Shop ({SYSTEM})"


def test_what_is_missing_is_a_problem():
    assert RemoveFromOptout().problems() == ["Choose a channel, or all channels."]
