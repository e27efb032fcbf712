"""The pages of runs: the list and the timeline."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.send_message import SendMessage
from apps.core.readable import duration
from apps.engine.models import Attempt, Delay, Run
from apps.messaging.models import Message, OptOut, OptOutList
from tests.factories import ChannelFactory, TagFactory, published

pytestmark = pytest.mark.django_db
LIST = reverse("admin:engine_run_changelist")
ANA, BEN = "+4915112345678", "+4915112345999"


def page_of(client, run):
    answer = client.get(reverse("admin:engine_run_change", args=[run.pk]))
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def entries_of(page):
    """The timeline's entries, each as HTML."""
    return page.split('<li class="sb-entry">')[1:]


@pytest.fixture
def shop():
    channel = ChannelFactory(name="Shop line")
    system = OptOutList.objects.filter(is_system=True).first() or OptOutList.objects.create(
        name="All", is_system=True
    )
    OptOut.objects.create(list=system, channel=channel, address=BEN)
    large = [{"left": "event.total", "operator": "number:greater", "right": "500"}]
    gone = TagFactory(name="spring")
    connector = published(
        [
            (
                SendMessage,
                {
                    "label": "Thank you",
                    "channel": channel,
                    "recipients": [{"to": "{{ contact.phone }}"}, {"to": BEN}],
                    "text": "Hi {{ contact.name }} {{ event.courier }}",
                },
            )
        ],
        [(Filter, {"label": "Only large", "conditions": large}), (AddTag, {"new_tags": "large"})],
        [
            (AddTag, {"label": "Campaign", "rows": {"tags": [{"tag": gone}]}}),
            (DelayAction, {"amount": 2, "unit": "hours", "identifier": "order-{{ event.id }}"}),
            (AddTag, {"new_tags": "later"}),
        ],
        name="Shop",
        mapping={"phone": "{{ event.phone }}", "name": "Ana"},
    )
    AddTag.tags.rel.related_model.objects.all().delete()
    gone.delete()
    return connector


def test_the_timeline_tells_the_story(shop, post, drain, clock, admin_client):
    post(shop, {"id": 7, "total": 10, "phone": ANA})
    drain()
    run = Run.objects.get()
    page = page_of(admin_client, run)
    assert ">Shop</a> <span" in page and "revision 1" in page and f"Event {run.event_id}" in page
    assert ">Ana</a>" in page
    mapping, thanks, only, campaign, delay = entries_of(page)
    assert "Contact created" in mapping and ">person_search<" in mapping
    assert "Thank you" in thanks and ">chat<" in thanks and "1 missing attribute" in thanks
    assert "event.courier" in thanks and "What went in" in thanks and "Hi Ana" in thanks
    assert "sb-is-sent" in thanks and ANA in thanks and "Shop line" in thanks
    assert "sb-is-refused" in thanks and "opted out" in thanks
    assert "sb-is-skipped" in only and "Not passed" in only
    assert "sb-is-failed" in campaign and "Tag &quot;spring&quot; was deleted" in campaign
    assert "Waiting until 2 Mar 2026, 14:00:00" in delay and "order-7" in delay
    cancel = reverse("admin:engine_delay_cancel", args=[Delay.objects.get().pk])
    assert cancel in delay
    assert "Sleeping until 2 Mar 2026, 14:00:00. Reload" in page

    clock.tick(hours=2)
    drain()
    page = page_of(admin_client, run)
    assert "Waited until 2 Mar 2026, 14:00:00" in page and cancel not in page
    assert "Ended 2 Mar 2026, 14:00:00, took 2 h" in page and "Cancel run" not in page


def test_the_list_says_why(shop, post, drain, clock, admin_client):
    post(shop, {"id": 7, "total": 10, "phone": ANA})
    drain()
    assert "Sleeps until 2 Mar 2026, 14:00:00" in admin_client.get(LIST).text
    Run.objects.update(state="failed", error="Thank you: nobody answers <there>.")
    assert "Thank you: nobody answers &lt;there&gt;." in admin_client.get(LIST).text


def test_what_can_not_go_on_is_not_offered_to(shop, post, drain, admin_client):
    post(shop, {"id": 7, "total": 10, "phone": ANA})
    drain()
    Run.objects.update(state="failed")
    run = Run.objects.get()
    assert "Run again" in page_of(admin_client, run)
    shop.delete()
    assert "Run again" not in page_of(admin_client, run)


def test_an_unknown_outcome_stands_under_its_action(shop, post, drain, clock, admin_client):
    post(shop, {"id": 7, "total": 10, "phone": ANA})
    drain()
    Message.objects.filter(address=ANA).update(state="unknown", reason="The answer was lost.")
    thanks = entries_of(page_of(admin_client, Run.objects.get()))[1]
    assert "Outcome unknown" in thanks and "The answer was lost." in thanks


def test_two_sleeps_of_one_action_each_show_their_own_delay(clock, admin_client, shop, post, drain):
    post(shop, {"id": 1, "total": 1, "phone": ANA})
    drain()
    run, first = Run.objects.get(), Delay.objects.get()
    clock.tick(hours=2)
    drain()
    slept = Attempt.objects.get(kind="delay")
    Attempt.objects.create(
        run=run,
        passage=2,
        action_uid=slept.action_uid,
        kind="delay",
        label="Again",
        result="waiting",
        at=clock.now,
    )
    Delay.objects.create(
        run=run,
        connector=shop,
        action_uid=first.action_uid,
        label="Again",
        wake_at=clock.tick(hours=1),
    )
    page = page_of(admin_client, run)
    *_, again = entries_of(page)
    assert "Waiting until 2 Mar 2026, 15:00:00" in again
    assert page.index("Pass 1<") < page.index("Waited until") < page.index("Pass 2<")


def test_a_retry_is_told_with_what_failed_and_when_the_next_try_is(
    post, drain, clock, admin_client
):
    broken = {"phone": "{{ event.none }}", "label": "Who", "on_error": "retry"}
    post(published([(MapContact, broken)]), {})
    drain()
    (entry,) = entries_of(page_of(admin_client, Run.objects.get()))
    assert "sb-is-retrying" in entry and "Failed, retry" in entry
    assert "neither mobile number nor email address. Retry 1 of 5 follows at" in entry
    assert "Waiting until 2 Mar 2026, 12:01:00" in entry
    assert reverse("admin:engine_delay_cancel", args=[Delay.objects.get().pk]) in entry
    delays = admin_client.get(reverse("admin:engine_delay_changelist")).content.decode()
    assert "Retry 1 of 5: Who" in delays
    clock.tick(minutes=1)
    drain()
    first, _ = entries_of(page_of(admin_client, Run.objects.get()))
    assert "Waited until 2 Mar 2026, 12:01:00" in first


def test_a_run_before_its_first_action_says_so(shop, post, admin_client):
    post(shop, {"phone": ANA})
    page = page_of(admin_client, Run.objects.get())
    assert "Nothing has happened yet" in page and "Not finished yet" in page


def test_a_timeline_of_any_length_takes_the_same_queries(shop, post, drain, clock, admin_client):
    post(shop, {"id": 7, "total": 10, "phone": ANA})
    drain()
    run = Run.objects.get()

    def queries():
        with CaptureQueriesContext(connection) as captured:
            page_of(admin_client, run)
        return len(captured)

    few = queries()
    thanks, slept = Attempt.objects.get(label="Thank you"), Attempt.objects.get(kind="delay")
    delay, message = Delay.objects.get(), Message.objects.get(address=ANA)
    for number in range(40):
        for row in (thanks, slept, delay):
            row.pk = None
            row.save()
        message.pk, message.key = None, f"{message.key.rpartition(':')[0]}:{number}"
        message.save()
    page = page_of(admin_client, run)
    assert len(entries_of(page)) == 85
    assert page.count('class="sb-link" href="/admin/messaging/message/') == 42
    assert queries() == few


def test_cancelling_a_run_asks_first(shop, post, drain, clock, admin_client):
    post(shop, {"id": 7, "total": 10, "phone": ANA})
    drain()
    run = Run.objects.get()
    url = reverse("admin:engine_run_cancel", args=[run.pk])
    asked = admin_client.get(url).content.decode()
    assert f"Cancel run {run.pk} of Shop?" in asked
    run.refresh_from_db()
    assert run.state == "waiting"
    done = admin_client.post(url, {"confirmed": 1}, follow=True).content.decode()
    assert "was cancelled" in done and "Cancelled by admin" in done
    run.refresh_from_db()
    assert (run.state, Delay.objects.get().state) == ("cancelled", "cancelled")
    assert "had ended already" in admin_client.post(url, follow=True).content.decode()


def test_cancelling_chosen_runs_asks_first_and_leaves_the_others(
    shop, post, drain, clock, admin_client
):
    for number in range(3):
        post(shop, {"id": number, "total": 1, "phone": ANA})
    drain()
    first, second, third = Run.objects.order_by("pk")
    chosen = {"action": "cancel_selected", "_selected_action": [first.pk, second.pk]}
    asked = admin_client.post(LIST, chosen).content.decode()
    assert "Cancel the selected runs" in asked
    assert not Run.objects.filter(state="cancelled").exists()
    # Ticking "all pages" must not reach further than what was on the page.
    done = admin_client.post(LIST, {**chosen, "confirmed": 1, "select_across": 1}, follow=True)
    assert "Cancelled: 2 of 2 runs." in done.content.decode()
    third.refresh_from_db()
    assert third.state == "waiting"


def test_the_list_shows_until_when_and_takes_the_same_queries_for_any_number(
    shop, post, drain, clock, admin_client
):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            page = admin_client.get(LIST).content.decode()
        assert not [q for q in captured if "COUNT(" in q["sql"].upper()]
        return len(captured), page

    post(shop, {"id": 1, "total": 1, "phone": ANA})
    drain()
    few, page = queries()
    assert "2 Mar 2026, 14:00:00" in page and ">Ana</a>" in page
    for number in range(12):
        post(shop, {"id": number, "total": 1, "phone": f"+49151123456{number:02}"})
    drain()
    many, page = queries()
    assert many == few
    assert page.count("14:00:00") == 13


def test_runs_are_found_by_id(shop, post, admin_client):
    for _ in range(2):
        post(shop, {"phone": ANA})
    first, second = Run.objects.order_by("pk")
    page = admin_client.get(LIST, {"q": str(first.pk)}).content.decode()
    assert f">#{first.pk}<" in page and f">#{second.pk}<" not in page
    assert admin_client.get(reverse("admin:engine_run_change", args=[10**6])).status_code == 404


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00004, "0.1 ms"),
        (0.0042, "4.2 ms"),
        (0.012, "12 ms"),
        (0.9996, "1.0 s"),
        (9.96, "10 s"),
        (125, "2 min 5 s"),
        (7200, "2 h"),
        (100_000, "1 d 3 h"),
    ],
)
def test_durations_read_well(seconds, text):
    from datetime import timedelta

    assert duration(timedelta(seconds=seconds)) == text
