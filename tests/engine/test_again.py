"""Running again: an operator lets an ended run go on from an action of its revision."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.send_message import SendMessage
from apps.connectors.models import Connector
from apps.connectors.publish import publish
from apps.crm.models import Contact
from apps.engine import again
from apps.engine.cancel import cancel_runs
from apps.engine.models import Attempt, Delay, Event, Run
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, published

pytestmark = pytest.mark.django_db
ANA = "+4915112345678"
LIST = reverse("admin:engine_run_changelist")
# Places in the flow of `shop`.
BEGINNING, BIG, THANKS, TAG, CARE = -1, 0, 1, 2, 3


@pytest.fixture
def shop():
    """Thank, tag, then care for who a number is known of; off: never done."""
    big = [{"left": "event.total", "operator": "number:greater", "right": "5"}]
    thanks = {
        "label": "Thanks",
        "channel": ChannelFactory(name="Shop line"),
        "recipients": [{"to": "{{ contact.phone }}"}],
        "text": "Thanks for {{ event.id }}",
    }
    return published(
        [
            (Filter, {"conditions": big, "label": "Big"}),
            (SendMessage, thanks),
            (AddTag, {"new_tags": "buyer"}),
        ],
        [
            (MapContact, {"label": "Care", "phone": "{{ event.care }}", "on_error": "stop"}),
            (AddTag, {"new_tags": "never", "label": "Off", "enabled": False}),
        ],
        name="Shop",
        mapping={"phone": "{{ event.phone }}"},
    )


@pytest.fixture
def order(post, drain, clock, shop):
    """Post an order and do what is due; without `care` its run fails at the fourth action."""

    def make(**event):
        post(shop, {"id": 7, "total": 10, "phone": ANA, **event})
        drain()
        return Run.objects.latest("pk")

    return make


def again_url(run, position=None):
    url = reverse("admin:engine_run_again", args=[run.pk])
    return url if position is None else f"{url}?from={position}"


def text_of(answer):
    return re.sub(r"\s+", " ", answer.content.decode())


def go_on(client, run, position, seen=None):
    sent = {"confirmed": 1, "seen": seen or f"{run.pk}:{run.passage}"}
    return text_of(client.post(again_url(run, position), sent, follow=True))


def story(run):
    return list(
        Attempt.objects.filter(run=run).order_by("pk").values_list("passage", "label", "result")
    )


def test_a_failed_run_goes_on_from_where_it_failed(order, admin_client, drain, clock):
    run = order()
    assert (run.state, run.position) == ("failed", CARE)
    clock.tick(days=1)
    Event.objects.update(body='{"care": "+4915199999999"}')
    page = go_on(admin_client, run, CARE)
    assert f"Run {run.pk} goes on from &quot;Care&quot; in pass 2." in page
    run.refresh_from_db()
    assert (run.state, run.passage, run.position, run.tries) == ("due", 2, CARE, 0)
    assert (run.error, run.finished_at, run.wake_at) == ("", None, clock.now)
    drain()
    run.refresh_from_db()
    assert (run.state, run.finished_at) == ("done", clock.now)
    assert story(run)[-3:] == [
        (1, "Care", "failed"),
        (2, "Run again", "done"),
        (2, "Care", "done"),
    ]
    assert Attempt.objects.get(kind="again").note == 'Run again from "Care" by admin'
    assert Message.objects.count() == 1


def test_messages_are_queued_again_with_keys_of_their_own(order, admin_client, drain):
    run = order(care=ANA)
    assert run.state == "done"
    go_on(admin_client, run, THANKS)
    drain()
    first, second = Message.objects.order_by("pk").values_list("key", flat=True)
    assert first.startswith(f"run:{run.pk}:1:")
    assert second == first.replace(f"run:{run.pk}:1:", f"run:{run.pk}:2:")
    assert PhoneMessage.objects.count() == 2


def test_what_earlier_actions_gave_stays(order, admin_client, drain):
    run = order(care=ANA)
    before = run.values
    assert before["send"]["thanks"]["verdict"] == "send"
    go_on(admin_client, run, CARE)
    run.refresh_from_db()
    assert run.values == before


def test_it_goes_on_with_whom_it_had_there(order, admin_client, drain):
    """The run came to Thanks with Ana and mapped a colleague behind it."""
    run = order(care="+4915199999999")
    assert run.contact.phone == "+4915199999999"
    page = text_of(admin_client.get(again_url(run, THANKS)))
    assert f"in pass 2, for {ANA}." in page
    go_on(admin_client, run, THANKS)
    drain()
    assert [message.address for message in Message.objects.all()] == [ANA, ANA]
    # The failed mapping had left nobody, but it was come to with Ana.
    run = order()
    assert run.contact is None
    go_on(admin_client, run, CARE)
    run.refresh_from_db()
    assert run.contact.phone == ANA


def test_what_was_never_come_to_goes_on_with_the_last_contact(post, drain, clock):
    never = [(Filter, {"conditions": [{"left": "event.x", "operator": "text:is", "right": "1"}]})]
    mapping = (MapContact, {"phone": ANA})
    post(published([mapping], [*never, (AddTag, {"new_tags": "x"})]), {})
    drain()
    run = Run.objects.get()
    assert again.contact_at(run, 2) == run.contact_id == Contact.objects.get().pk
    assert again.contact_at(run, 0) is None


def test_from_the_beginning_the_fields_are_mapped_again(order, admin_client, drain, clock):
    run = order(care=ANA)
    Event.objects.update(body='{"total": 10, "phone": "+4915122222222", "care": "+4915122222222"}')
    go_on(admin_client, run, BEGINNING)
    drain()
    run.refresh_from_db()
    assert run.contact_id == Contact.objects.get(phone="+4915122222222").pk
    assert Message.objects.latest("pk").address == "+4915122222222"


def test_the_places_are_the_actions_that_are_switched_on(order, admin_client):
    run = order()
    page = text_of(admin_client.get(again_url(run)))
    offered = re.findall(r'href="\?from=(-?\d+)"', page)
    assert offered == ["-1", "0", "1", "2", "3"]
    care = page[page.index("Care") :]
    assert "The run failed here." in care and "sb-is-failed" in care
    assert "event.total greater than 5" in page
    for position in ("4", "99", "x", "-2", ""):
        assert admin_client.get(again_url(run, position)).status_code == 404
        assert admin_client.post(again_url(run, position)).status_code == 404


def test_the_question_names_what_may_be_done_again(order, admin_client):
    run = order()
    page = text_of(admin_client.get(again_url(run, BIG)))
    assert f"Run {run.pk} of Shop goes on from &quot;Big&quot;, in pass 2, for {ANA}." in page
    listed = page.split('<ul class="sb-places">')[1].split("</ul>")[0].split("</li>")[:-1]
    assert len(listed) == 3
    thanks, tag, care = listed
    assert "Thanks" in thanks and f"Done once so far. Messages went to {ANA}." in thanks
    assert "buyer" in tag and "Done once so far." in tag
    assert "Care" in care and "{{ event.care }}" in care and "Not done so far." in care
    run.refresh_from_db()
    assert (run.state, run.passage) == ("failed", 1)


def test_refused_messages_went_to_nobody(order, admin_client):
    run = order()
    Message.objects.update(state="refused")
    assert "Messages went to" not in text_of(admin_client.get(again_url(run, BIG)))


def test_lines_are_those_of_the_revision_not_of_the_edited_draft(order, shop, admin_client):
    run = order()
    AddTag.objects.filter(new_tags="buyer").update(new_tags="edited", summary_line="edited")
    publish(shop)
    page = text_of(admin_client.get(again_url(run, TAG)))
    assert "buyer" in page and "edited" not in page


def test_sending_the_form_twice_starts_one_pass(order, admin_client, drain):
    run = order(care=ANA)
    seen = f"{run.pk}:1"
    go_on(admin_client, run, THANKS, seen)
    drain()
    run.refresh_from_db()
    assert (run.state, run.passage) == ("done", 2)
    assert "was run again in the meantime" in go_on(admin_client, run, THANKS, seen)
    run.refresh_from_db()
    assert (run.state, run.passage, Message.objects.count()) == ("done", 2, 2)


def test_of_two_at_the_same_time_one_is_faster(order):
    run = order(care=ANA)
    same = Run.objects.get(pk=run.pk)
    place = again.places(run.revision_id)[0]
    assert again.start(run, place, "ana")
    assert not again.start(same, place, "ben")
    run.refresh_from_db()
    assert (run.passage, Attempt.objects.filter(kind="again").count()) == (2, 1)


def test_a_run_that_was_run_again_and_ended_since_is_not_as_it_was_read(order, drain):
    run = order(care=ANA)
    earlier = Run.objects.get(pk=run.pk)
    place = again.places(run.revision_id)[0]
    assert again.start(run, place, "ana")
    drain()
    run.refresh_from_db()
    assert (run.state, run.passage) == (earlier.state, 2)
    assert not again.start(earlier, place, "ben")
    run.refresh_from_db()
    assert (run.state, run.passage, Message.objects.count()) == ("done", 2, 2)


def test_a_run_that_has_not_ended_is_left_alone(post, clock, shop, admin_client):
    post(shop, {})
    run = Run.objects.get()
    assert "has not ended yet: cancel it before" in go_on(admin_client, run, TAG)
    assert Run.objects.get().passage == 1
    page = text_of(admin_client.get(reverse("admin:engine_run_change", args=[run.pk])))
    assert again_url(run) not in page


def test_a_cancelled_run_goes_on_and_an_old_delay_does_not_wake_it(
    post, drain, clock, admin_client
):
    post(published([(DelayAction, {"amount": 2, "unit": "hours"})]), {})
    drain()
    run = Run.objects.get()
    cancel_runs([run.pk], "no")
    # As if somebody had held the delay just then.
    Delay.objects.update(state="waiting")
    run.refresh_from_db()
    clock.tick(hours=1)
    go_on(admin_client, run, 0)
    drain()
    assert list(Delay.objects.order_by("pk").values_list("state", flat=True)) == [
        "cancelled",
        "waiting",
    ]
    # "After the last action": running again is what happened last.
    assert Delay.objects.latest("pk").wake_at == clock.tick(hours=2)
    drain()
    assert Run.objects.get().state == "done"


def test_a_connector_that_is_switched_off_does_not_hold_it_up(order, shop, admin_client, drain):
    run = order(care=ANA)
    Connector.objects.update(enabled=False)
    assert "switched off: it takes no events, but this run goes on" in text_of(
        admin_client.get(again_url(run, TAG))
    )
    go_on(admin_client, run, TAG)
    drain()
    run.refresh_from_db()
    assert (run.state, run.passage) == ("done", 2)


def test_what_is_gone_is_told(order, shop, admin_client):
    run = order()
    url = again_url(run)
    Event.objects.all().delete()
    assert "run again: its event was deleted" in text_of(admin_client.get(url, follow=True))
    shop.delete()
    assert "run again: its connector was deleted" in text_of(admin_client.get(url, follow=True))
    Run.objects.update(connector_id=published([(AddTag, {"new_tags": "x"})]).pk)
    page = text_of(admin_client.post(again_url(run, TAG), follow=True))
    assert "run again: the revision it was on is gone" in page
    run.refresh_from_db()
    assert (run.state, run.passage) == ("failed", 1)


def test_passes_stand_apart_on_the_timeline(order, admin_client, drain):
    run = order(care=ANA)
    page_url = reverse("admin:engine_run_change", args=[run.pk])
    assert "Pass 1<" not in text_of(admin_client.get(page_url))
    go_on(admin_client, run, THANKS)
    drain()
    page = text_of(admin_client.get(page_url))
    first, second = page.split("Pass 2<")
    assert "Pass 1<" in first and "Big" in first
    assert "Run again from &quot;Thanks&quot; by admin" in second and "Big" not in second
    assert first.count("sb-messages") == second.count("sb-messages") == 1


def test_failed_runs_chosen_in_the_list_go_on_together(order, admin_client, drain):
    runs = [order(), order(), order(care=ANA)]
    chosen = {"action": "again_selected", "_selected_action": [run.pk for run in runs]}
    page = text_of(admin_client.post(LIST, chosen))
    assert "2 of 3 selected runs failed and can go on from the action that failed." in page
    assert '2 runs of Shop from "Care"' in page and "Not done so far." in page
    assert not Run.objects.filter(passage=2).exists()
    seen = re.findall(r'name="seen" value="([^"]+)"', page)
    assert seen == [f"{run.pk}:1" for run in reversed(runs[:2])]
    Event.objects.update(body='{"care": "+4915199999999"}')
    sent = {**chosen, "confirmed": 1, "seen": seen}
    assert "Run again: 2 of 3 runs." in text_of(admin_client.post(LIST, sent, follow=True))
    drain()
    assert sorted(Run.objects.values_list("passage", "state")) == [
        (1, "done"),
        (2, "done"),
        (2, "done"),
    ]
    page = text_of(admin_client.post(LIST, sent, follow=True))
    assert "None of these runs has failed" in page


def test_chosen_runs_that_failed_again_are_not_started_by_the_old_form(order, admin_client, drain):
    run = order()
    sent = {"action": "again_selected", "_selected_action": [run.pk], "confirmed": 1}
    sent["seen"] = [f"{run.pk}:1"]
    admin_client.post(LIST, sent)
    drain()
    assert "Run again: 0 of 1 runs." in text_of(admin_client.post(LIST, sent, follow=True))
    run.refresh_from_db()
    assert (run.state, run.passage) == ("failed", 2)


def test_a_run_that_broke_goes_on_from_the_action_it_broke_at(
    post, drain, clock, admin_client, monkeypatch
):
    connector = published([(AddTag, {"new_tags": "x"})], mapping={"phone": ANA})
    post(connector, {})
    drain()
    Run.objects.update(state="failed", error="Poison: …", position=0)
    chosen = {"action": "again_selected", "_selected_action": [Run.objects.get().pk]}
    page = text_of(admin_client.post(LIST, chosen))
    assert "1 of 1 selected runs failed and can go on" in page
    assert f'1 run of {connector} from "Add Tag"' in page


def test_the_question_takes_the_same_queries_for_any_number_of_runs(order, admin_client):
    def queries():
        ids = list(Run.objects.values_list("pk", flat=True))
        with CaptureQueriesContext(connection) as captured:
            admin_client.post(LIST, {"action": "again_selected", "_selected_action": ids})
        return len(captured)

    order()
    few = queries()
    for _ in range(8):
        order()
    assert queries() == few


def test_who_may_only_look_may_not_run_again(order, client, django_user_model):
    run = order()
    staff = django_user_model.objects.create_user("staff", password="x", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(staff)
    assert client.get(again_url(run)).status_code == 403
    assert client.post(again_url(run, CARE), {"seen": f"{run.pk}:1"}).status_code == 403
    client.post(
        LIST,
        {
            "action": "again_selected",
            "_selected_action": [run.pk],
            "seen": f"{run.pk}:1",
            "confirmed": 1,
        },
    )
    run.refresh_from_db()
    assert run.passage == 1
    page = text_of(client.get(reverse("admin:engine_run_change", args=[run.pk])))
    assert "Run again" not in page
    staff.user_permissions.add(Permission.objects.get(codename="change_run"))
    assert client.get(again_url(run)).status_code == 200
