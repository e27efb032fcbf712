import pytest
from django.db.models import RestrictedError

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.add_to_optout import AddToOptout
from apps.actions.kinds.send_message import SendMessage
from apps.crm.models import Tag
from apps.engine.models import Run
from apps.messaging.models import Application, OptOut
from tests.factories import ChannelFactory, ContactFactory, OptOutListFactory, published

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


@pytest.fixture
def news():
    return OptOutListFactory(name="Newsletter")


def opting_out(channel=None, address="", lists=(), **more):
    channels = "one" if channel else "all"
    rows = {"lists": [{"list": one} for one in lists]}
    columns = {"channel": channel, "channels": channels, "address": address, "rows": rows}
    return AddToOptout, {**columns, **more}


def opted_out():
    rows = OptOut.objects.order_by("list__name", "channel__name", "address")
    return list(rows.values_list("list__name", "channel__name", "address"))


SYSTEM = "All automated messages"


def test_without_a_list_it_is_the_systems(happen, told, shop):
    run = happen([opting_out(shop)], event=ANA, mapping=BY_PHONE)
    assert opted_out() == [(SYSTEM, "Shop", PHONE)]
    entry = told(run, "add_to_optout")
    assert (entry.result, entry.note) == ("done", f"Opted out: {PHONE} on Shop ({SYSTEM})")
    assert entry.went_in["lists"] == [SYSTEM]
    row = OptOut.objects.get()
    assert (row.cause, row.cause_id, row.list.is_system) == ("run", run.pk, True)


def test_several_lists_and_all_channels(happen, told, shop, ana, news):
    ChannelFactory(name="Mail", application=Application.EMAIL)
    offers = OptOutListFactory(name="Offers")
    run = happen([opting_out(lists=[news, offers])], event=ANA, mapping=BY_PHONE)
    assert opted_out() == [
        (name, channel, address)
        for name in ("Newsletter", "Offers")
        for channel, address in (("Mail", MAIL), ("Shop", PHONE))
    ]
    both = f"{MAIL} on Mail; {PHONE} on Shop"
    note = f"Opted out: {both} (Newsletter); {both} (Offers)"
    assert told(run, "add_to_optout").note == note


def test_what_is_there_already_stays_once_and_is_told(happen, told, shop, news):
    happen([opting_out(shop)], event=ANA, mapping=BY_PHONE)
    run = happen([opting_out(shop)], event=ANA, mapping=BY_PHONE)
    note = f"On the list already: {PHONE} on Shop ({SYSTEM})"
    assert told(run, "add_to_optout").note == note
    happen([opting_out(shop, lists=[news])], event=ANA, mapping=BY_PHONE)
    assert opted_out() == [(SYSTEM, "Shop", PHONE), ("Newsletter", "Shop", PHONE)]


def test_a_typed_address_needs_no_contact(happen, shop):
    happen([opting_out(shop, "{{ event.who }}")], event={"who": "0049 151 12345678"})
    assert opted_out() == [(SYSTEM, "Shop", PHONE)]


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_a_bad_address_fails_and_opts_nobody_out(happen, told, shop, on_error, state):
    steps = [opting_out(shop, "{{ event.who }}", on_error=on_error), NEXT]
    run = happen(steps, event={**ANA, "who": "x"}, mapping=BY_PHONE)
    entry = told(run, "add_to_optout")
    note = '"x" is not a valid mobile number: it needs the country code.'
    assert (entry.result, entry.note, run.state) == ("failed", note, state)
    assert not opted_out()
    assert Tag.objects.exists() is (on_error == "continue")


def test_without_a_contact_and_an_address_it_is_skipped(happen, told, shop):
    entry = told(happen([opting_out(shop)]), "add_to_optout")
    assert (entry.result, entry.note) == ("skipped", "No contact mapped")
    assert not opted_out()


def test_a_turn_done_again_opts_out_once(happen, lost_turn, shop):
    run = happen([opting_out(shop)], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state) == ([True], "done")
    assert opted_out() == [(SYSTEM, "Shop", PHONE)]


@pytest.mark.parametrize(("custom", "verdict"), [(False, "blocked_optout"), (True, "send")])
def test_only_the_systems_list_stops_automated_messages(happen, told, shop, news, custom, verdict):
    sending = (SendMessage, {"channel": shop, "recipients": [{"to": PHONE}], "text": "Hi"})
    steps = [opting_out(shop, lists=[news] if custom else []), sending]
    run = happen(steps, event=ANA, mapping=BY_PHONE)
    assert told(run, "send_message").came_out["verdict"] == verdict


def test_the_entry_outlives_the_contact(happen, shop, ana):
    happen([opting_out(shop)], event=ANA, mapping=BY_PHONE)
    ana.delete()
    assert opted_out() == [(SYSTEM, "Shop", PHONE)]


def test_a_list_that_is_gone_fails_and_changes_nothing(post, drain, clock, told, shop, news):
    offers = OptOutListFactory(name="Offers")
    connector = published([opting_out(shop, lists=[offers, news])], mapping=BY_PHONE)
    with pytest.raises(RestrictedError):
        news.delete()
    AddToOptout.objects.all().delete()
    news.delete()
    post(connector, ANA)
    drain()
    entry = told(Run.objects.get(), "add_to_optout")
    assert entry.note == 'Opt-out list "Newsletter" was deleted'
    assert not opted_out()


def test_what_is_missing_is_a_problem(shop, news):
    assert AddToOptout().problems() == ["Choose a channel, or all channels."]
    action = published([opting_out(shop, lists=[news])]).steps.get().actions.get()
    assert action.summary_line == "The contact on Shop: Newsletter"
    assert AddToOptout(channel=shop).summary() == f"The contact on Shop: {SYSTEM}"
