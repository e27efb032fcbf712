"""The page of delays."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.delay import Delay as DelayAction
from apps.engine.models import Delay, Run
from tests.factories import published

pytestmark = pytest.mark.django_db
LIST = reverse("admin:engine_delay_changelist")


@pytest.fixture
def sleepers(post, drain, clock):
    """Three runs asleep: order-1 for an hour, order-2 for two, order-3 for three."""
    for hours in (3, 1, 2):
        connector = published(
            [(DelayAction, {"amount": hours, "identifier": "order-{{ event.id }}"})],
            name=f"Hours {hours}",
        )
        post(connector, {"id": hours})
    drain()
    return Delay.objects.order_by("wake_at")


def rows(client, **query):
    """The identifiers on the page, in its order."""
    page = client.get(LIST, query).content.decode()
    return re.findall(r">(order-\d)</td>", page)


def test_that_nobody_waits_is_no_list_that_is_new(sleepers, drain, clock, admin_client):
    clock.tick(hours=3)
    drain()
    assert "No run waits now" in admin_client.get(LIST).text
    assert "No delays yet" not in admin_client.get(LIST).text


def test_waiting_ones_come_first_and_are_found(sleepers, drain, clock, admin_client):
    assert rows(admin_client) == ["order-1", "order-2", "order-3"]
    assert rows(admin_client, q="order-2") == ["order-2"]
    connector = sleepers[2].connector_id
    assert rows(admin_client, connector__id__exact=connector) == ["order-3"]
    clock.tick(hours=1)
    drain()
    assert set(rows(admin_client)) == {"order-2", "order-3"}
    assert rows(admin_client, state="fired") == ["order-1"]
    assert set(rows(admin_client, state="all")) == {"order-1", "order-2", "order-3"}


def test_a_delay_leads_to_its_run(sleepers, admin_client):
    delay = sleepers[0]
    answer = admin_client.get(reverse("admin:engine_delay_change", args=[delay.pk]))
    assert answer["Location"] == reverse("admin:engine_run_change", args=[delay.run_id])


def test_cancelling_chosen_delays_asks_first_and_ends_their_runs(
    sleepers, drain, clock, admin_client
):
    first, second, third = sleepers
    chosen = {"action": "cancel_selected", "_selected_action": [first.pk, third.pk]}
    assert "Cancel the selected delays?" in admin_client.post(LIST, chosen).content.decode()
    assert Delay.objects.filter(state="waiting").count() == 3
    done = admin_client.post(LIST, {**chosen, "confirmed": 1}, follow=True).content.decode()
    assert "Cancelled: 2 of 2 delays." in done
    ended = Run.objects.get(pk=first.run_id)
    assert (ended.state, ended.error) == ("cancelled", "Cancelled by admin")
    assert Run.objects.get(pk=second.run_id).state == "waiting"
    assert list(Delay.objects.filter(state="waiting")) == [second]


def test_cancelling_one_delay_beside_its_entry(sleepers, admin_client):
    delay = sleepers[0]
    url = reverse("admin:engine_delay_cancel", args=[delay.pk])
    assert f"of run {delay.run_id}?" in admin_client.get(url).content.decode()
    assert Run.objects.get(pk=delay.run_id).state == "waiting"
    assert "The delay was cancelled." in admin_client.post(url, follow=True).content.decode()
    assert Run.objects.get(pk=delay.run_id).state == "cancelled"
    assert "had ended already" in admin_client.post(url, follow=True).content.decode()


def test_the_list_takes_the_same_queries_for_any_number_of_rows(
    sleepers, post, drain, clock, admin_client
):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(LIST)
        assert not [q for q in captured if "COUNT(" in q["sql"].upper()]
        return len(captured)

    few = queries()
    connector = sleepers[0].connector
    for number in range(10):
        post(connector, {"id": number})
    drain()
    assert Delay.objects.count() == 13
    assert queries() == few


@pytest.mark.postgresql
def test_the_waiting_list_reads_the_partial_index(is_postgresql, sleepers, admin_client):
    if not is_postgresql:
        pytest.skip("The plan of PostgreSQL")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO engine_delay (run_id, connector_id, action_uid, label, identifier,"
            " wake_at, state, created_at) SELECT run_id, connector_id, action_uid, label,"
            " identifier, wake_at + n * interval '1 second',"
            " CASE WHEN n % 2 = 0 THEN 'waiting' ELSE 'fired' END, created_at"
            " FROM engine_delay, generate_series(1, 20000) AS n"
        )
        cursor.execute("ANALYZE engine_delay")
    with CaptureQueriesContext(connection) as captured:
        assert admin_client.get(LIST).status_code == 200
    listing = next(q["sql"] for q in captured if "LIMIT 50" in q["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {listing}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan using engine_delay_due" in plan
