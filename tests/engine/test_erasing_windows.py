"""Erased is erased: what somebody was about to write about the person when it was erased does not
stay, whoever that was and whenever it comes."""

from datetime import timedelta

import pytest
from django.core import serializers
from django.db import connection

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.route_to_connector import RouteToConnector
from apps.actions.kinds.send_message import SendMessage
from apps.core.http.guard import AllowList
from apps.core.http.outgoing import outgoing
from apps.crm import services
from apps.crm.erasing import Leaving, delete_contact
from apps.crm.models import Contact, Erasure
from apps.crm.news import What
from apps.engine import again, erasing, jobs, turn
from apps.engine.models import Attempt, Call, Delay, Event, Run
from apps.engine.rounds import round_of_lanes
from apps.engine.sweep import sweep
from apps.messaging import delivery, outbox
from apps.messaging.gateways.base import Again
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage
from tests.engine.crm_listening import listening
from tests.engine.test_plans import assert_only_by_index, plans_of, series
from tests.factories import ChannelFactory, ContactFactory, published
from tests.servers import serving

pytestmark = pytest.mark.django_db

PHONE, OTHER = "+4915112345678", "+4915187654321"
BY_PHONE = {"phone": "{{ event.phone }}", "name": "{{ event.name }}"}
ANA = {"phone": PHONE, "name": "Secretive"}
TABLES = [Event, Run, Attempt, Call, Delay, Message, PhoneMessage, Contact]


def mentions():
    """The tables that hold anything of the person."""
    return [
        model.__name__
        for model in TABLES
        for text in [serializers.serialize("json", model._base_manager.all())]
        if "Secretive" in text or PHONE in text or PHONE.strip("+") in text
    ]


def erased(work=lambda: None):
    """Delete Ana with her history, and take turns of the job until it has nothing to do now."""
    delete_contact(Contact.objects.get(phone=PHONE), with_history=True)
    work()
    jobs_turn()
    return Erasure.objects.get()


def jobs_turn():
    for _ in range(50):
        if not jobs.turn():
            return
    raise AssertionError("It spins")


def note(phone=PHONE):
    columns = {"channel": ChannelFactory(), "recipients": [{"to": phone}], "text": "Secretive!"}
    return (SendMessage, columns)


# --- messages


@pytest.fixture
def sending(clock):
    """Ana and a message to her that is under way."""
    ana = ContactFactory(phone=PHONE, name="Secretive")
    outbox.queue(ChannelFactory(), [PHONE], "Secretive!", key="k", contact=ana)
    (message,) = delivery.claim()
    assert delivery.mark_sending([message]) == [message]
    return message


def arrives(message):
    PhoneMessage.objects.create(
        channel=message.channel,
        address=message.address,
        text=message.text,
        key=message.key,
        arrived_at=message.created_at,
    )


def test_a_message_that_is_being_sent_is_waited_for(sending, clock):
    job = erased()
    sending.refresh_from_db()
    # It can't be said yet where it arrived. All else is gone but the contact's row.
    assert (job.state, job.wake_at) == ("waiting", clock.now + timedelta(seconds=1))
    assert (sending.state, sending.address) == ("sending", PHONE)
    assert jobs.turn() == 0
    arrives(sending)
    delivery.settle(sending, "sent", provider_id="id of Secretive")
    clock.tick(seconds=1)
    jobs_turn()
    job.refresh_from_db()
    assert (job.state, mentions()) == ("done", [])
    assert Message.objects.get().state == "sent"


def test_others_go_first_and_are_not_held_up(sending, clock, drain):
    ben = ContactFactory(phone=OTHER)
    services.add_note(Contact.objects.get(phone=PHONE), "Secretive", "ben")
    erased()
    delete_contact(ben)
    drain()
    assert not Contact.everyone.filter(pk=ben.pk).exists()
    assert [job.state for job in Erasure.objects.order_by("pk")] == ["waiting", "done"]


def test_the_wait_ends_with_its_lease(sending, clock):
    job = erased()
    arrives(sending)
    clock.tick(minutes=3)
    Message.expire()
    jobs_turn()
    job.refresh_from_db()
    assert (job.state, mentions(), Message.objects.get().state) == ("done", [], "unknown")


def test_an_answer_that_comes_after_that_says_only_what_became_of_it(sending, clock):
    erased()
    clock.tick(minutes=3)
    Message.expire()
    jobs_turn()
    clock.tick(minutes=1)
    delivery.settle(
        sending, "failed", provider_id="wamid.Secretive", reason="Secretive is not on WhatsApp"
    )
    row = Message.objects.get()
    assert (row.state, row.settled_at) == ("failed", clock.now)
    assert (row.provider_id, row.reason, row.address) == ("", "Erased.", "")
    assert mentions() == []


@pytest.mark.parametrize("with_history", [False, True])
def test_one_that_the_gateway_did_not_take_is_not_sent_again(sending, clock, drain, with_history):
    delete_contact(Contact.objects.get(), with_history)
    jobs_turn()
    delivery.ask_again(sending, Again(timedelta(minutes=1), "Slow down"))
    clock.tick(seconds=1)
    jobs_turn()
    clock.tick(minutes=2)
    drain()
    assert Message.objects.get().state == "cancelled"
    assert not PhoneMessage.objects.exists() and not Contact.everyone.exists()


@pytest.mark.parametrize("with_history", [False, True])
def test_one_that_a_run_in_hand_queues_is_not_sent(clock, drain, with_history):
    ana = ContactFactory(phone=PHONE, name="Secretive")
    channel = ChannelFactory()
    delete_contact(ana, with_history)
    outbox.queue(channel, [PHONE], "Secretive!", key="k", contact=ana)
    jobs_turn()
    assert Message.objects.get().state == "cancelled"
    drain()
    assert not PhoneMessage.objects.exists()
    if with_history:
        assert mentions() == []


# --- runs


def test_a_run_that_was_about_her_before_it_was_about_somebody_else(post, drain, clock):
    steps = [
        (AddTag, {"new_tags": "{{ contact.name }}"}),
        (MapContact, {"phone": OTHER}),
        (DelayAction, {"amount": 1, "identifier": "{{ event.phone }}"}),
    ]
    post(published(steps, mapping=BY_PHONE), ANA)
    post(published([(MapContact, {"phone": "none"})], mapping=BY_PHONE), ANA)
    drain()
    assert Run.objects.exclude(contact=Contact.objects.get(phone=PHONE)).count() == 2
    job = erased()
    assert (job.state, mentions()) == ("done", [])
    assert sorted(Run.objects.values_list("state", flat=True)) == ["cancelled", "done"]


def test_the_event_of_a_change_to_her_that_was_about_somebody_else(drain, clock):
    ana = ContactFactory(phone=PHONE, name="Secretive")
    connector = listening(What.NOTE_ADDED, mapping={"phone": OTHER})
    services.add_note(ana, "Secretive", "ben")
    drain()
    assert Run.objects.get(connector=connector).contact.phone == OTHER
    job = erased()
    assert (job.state, mentions()) == ("done", [])


def test_a_run_that_hers_made_meanwhile(post, drain, clock, monkeypatch):
    """Routed for her between two slices, and on to somebody else."""
    target = published([(DelayAction, {"amount": 1})], mapping={"phone": OTHER})
    source = [(DelayAction, {"amount": 1}), (RouteToConnector, {"connector": target})]
    post(published(source, mapping=BY_PHONE), ANA)
    drain()
    clock.tick(hours=1)
    # Hers wakes, and routes, in the moment in which she is deleted.
    job = erased(lambda: [round_of_lanes({"delays", "runs"}) for _ in range(3)])
    assert Run.objects.count() == 2
    assert (job.state, mentions()) == ("done", [])


def test_a_run_that_is_opened_again_in_that_moment_is_cancelled(post, drain, monkeypatch, clock):
    post(published([(DelayAction, {"amount": 1}), note()], mapping=BY_PHONE), ANA)
    drain()
    clock.tick(hours=1)
    drain()
    run = Run.objects.get()
    assert run.state == "done"
    real = erasing._about

    def opened_again(*args):
        found = real(*args)
        run.refresh_from_db()
        if found and run.passage == 1:
            assert again.start(run, again.places(run.revision_id)[1], "olga")
        return found

    monkeypatch.setattr(erasing, "_about", opened_again)
    job = erased()
    drain()
    run.refresh_from_db()
    assert (job.state, run.state, run.passage) == ("done", "cancelled", 2)
    assert mentions() == []


def test_an_answer_that_comes_after_it(post, clock, settings):
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    with serving() as server:
        server.answer = lambda asked: (200, {}, b'{"name": "Secretive"}')
        who = {"method": "GET", "url": f"{server.url}/who?is={{{{ contact.phone }}}}"}
        post(published([(HttpApi, who)], mapping=BY_PHONE), ANA)
        turn.take_turn()
        assert Call.objects.get().state == "sending"
        job = erased()
        for _ in range(100):
            if Call.objects.get().state != "sending":
                break
            outgoing().wait(0.2)
            turn.take_turn()
    assert Call.objects.get().state == "answered"
    assert (job.state, mentions()) == ("done", [])
    assert Run.objects.get().state == "cancelled"


def test_the_sweep_settles_nothing_of_hers_anew(sending, clock, drain):
    arrives(sending)
    clock.tick(minutes=3)
    Message.expire()
    erased()
    sweep()
    drain()
    assert mentions() == []


def test_looking_for_her_runs_reads_an_index(post, drain, clock, is_postgresql):
    with connection.cursor() as cursor:
        for kind, contact in (("add_tag", "5"), ("field_mapping", "NULL")):
            cursor.execute(
                "INSERT INTO engine_attempt (run_id, passage, step_name, kind, label, result, note,"
                " contact_id, went_in, came_out, missing, at, duration_us) SELECT n, 1, '',"
                f" '{kind}', '', 'done', '', {contact}, '{{}}', '{{}}', '[]',"
                f" '2026-03-02 12:00:00', 0 FROM {series(20_000)}"
            )
        cursor.execute("ANALYZE engine_attempt")
    read = plans_of(lambda: erasing._about(Leaving([5, 6], True), 500))
    assert_only_by_index(read, "engine_attempt")
    assert "engine_attempt_left" in read
