"""Schedules: the form, its preview, the list, and who may use them."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from apps.actions.kinds.stop import StopRun
from apps.engine import schedules
from apps.engine.models import Schedule
from tests.factories import ConnectorFactory, published

pytestmark = pytest.mark.django_db

ADD = reverse("admin:engine_schedule_add")
LIST = reverse("admin:engine_schedule_changelist")
PREVIEW = reverse("admin:engine_schedule_preview")


@pytest.fixture
def connector(clock):
    return published([(StopRun, {})], name="Shop")


def typed(connector, **more):
    form = {
        "connector": connector.pk,
        "name": "Mornings",
        "cron": " 0  9 * * 1-5 ",
        "timezone": "Europe/Berlin",
        "payload": "",
        "enabled": "on",
    }
    return {**form, **more}


def page_of(schedule):
    return reverse("admin:engine_schedule_change", args=[schedule.pk])


def flow_of(connector):
    return reverse("admin:connectors_connector_flow", args=[connector.pk])


def test_a_schedule_is_added_from_the_flow_page(connector, operator):
    link = f"{ADD}?connector={connector.pk}"
    assert link in operator.get(flow_of(connector)).text
    form = operator.get(link).text
    assert f'<option value="{connector.pk}" selected' in form and "Type in the times" in form
    answer = operator.post(link, typed(connector))
    assert answer["Location"] == flow_of(connector)
    made = Schedule.objects.get()
    assert (made.cron, made.connector_id) == ("0 9 * * 1-5", connector.pk)
    assert made.next_at == datetime(2026, 3, 3, 8, tzinfo=UTC)
    flow = operator.get(flow_of(connector)).text
    assert "At 09:00 on Monday through Friday (Europe/Berlin)" in flow


def test_its_page_shows_the_next_five_times_in_its_timezone(connector, operator):
    operator.post(ADD, typed(connector))
    page = operator.get(page_of(Schedule.objects.get())).text
    assert "At 09:00 on Monday through Friday" in page
    assert "Tuesday 3 March 2026, 09:00 CET" in page
    assert "Monday 9 March 2026, 09:00 CET" in page and "Tuesday 10 March" not in page


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"cron": "0 9 * *"}, "is not a cron expression: write five fields such as 0 9 * * 1-5"),
        ({"cron": "0 99 * * *"}, "its hour can&#x27;t be right"),
        ({"timezone": "Atlantis"}, "This is not a timezone"),
        ({"payload": "{"}, "The body is not valid JSON"),
        ({"payload": "[1]"}, "Write a JSON object"),
        ({"payload": '{"missed": 1}'}, "&quot;missed&quot; is filled in by the schedule"),
        ({"name": " "}, "This field is required."),
    ],
)
def test_what_cannot_be_a_schedule_is_said_in_place(connector, operator, wrong, sentence):
    answer = operator.post(ADD, typed(connector, **wrong))
    assert answer.status_code == 200 and sentence in answer.text
    assert not Schedule.objects.exists()


def test_the_preview_reads_back_what_is_typed(connector, operator):
    shown = operator.get(PREVIEW, {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}).text
    assert "At 02:30 every day" in shown and shown.count("<li>") == 5
    bad = operator.get(PREVIEW, {"cron": "<b>", "timezone": "Europe/Berlin"}).text
    assert "&lt;b&gt;&quot; is not a cron expression: write five fields" in bad
    assert "is not a timezone" in operator.get(PREVIEW, {"cron": "* * * * *"}).text


def test_only_what_changes_its_times_counts_them_anew(connector, operator, clock):
    operator.post(ADD, typed(connector))
    made = Schedule.objects.get()
    clock.tick(days=2)
    form = typed(connector, cron=made.cron)
    form.pop("connector")
    operator.post(page_of(made), {**form, "name": "Renamed"})
    made.refresh_from_db()
    # Overdue: the rename does not lose the time that is to come.
    assert (made.name, made.next_at) == ("Renamed", datetime(2026, 3, 3, 8, tzinfo=UTC))
    operator.post(page_of(made), {**form, "cron": "0 10 * * *"})
    made.refresh_from_db()
    assert made.next_at == datetime(2026, 3, 5, 9, tzinfo=UTC)
    form.pop("enabled")
    operator.post(page_of(made), form)
    made.refresh_from_db()
    assert (made.enabled, made.next_at) == (False, None)


def test_a_schedule_that_was_not_run_says_why(operator, clock):
    draft = ConnectorFactory()
    operator.post(ADD, typed(draft))
    clock.tick(days=1)
    schedules.fire()
    sentence = "Not run: the connector has not been published yet."
    for page in (LIST, flow_of(draft), page_of(Schedule.objects.get())):
        assert sentence in operator.get(page).text


def test_the_list_has_all_of_them(connector, operator, django_assert_max_num_queries):
    for number in range(5):
        operator.post(ADD, typed(connector, name=f"Number {number}"))
    with django_assert_max_num_queries(12):
        page = operator.get(LIST).text
    assert page.count("At 09:00 on Monday through Friday") == 5
    assert LIST in operator.get("/admin/").text


def test_a_schedule_is_deleted(connector, operator):
    operator.post(ADD, typed(connector))
    page = reverse("admin:engine_schedule_delete", args=[Schedule.objects.get().pk])
    answer = operator.post(page, {"post": "yes"})
    assert answer["Location"] == flow_of(connector) and not Schedule.objects.exists()


def test_who_may_only_look_sees_and_changes_nothing(connector, operator, client, django_user_model):
    operator.post(ADD, typed(connector))
    person = django_user_model.objects.create_user("p", password="x", is_staff=True)
    client.force_login(person)
    made = Schedule.objects.get()
    for page in (LIST, ADD, PREVIEW, page_of(made)):
        assert client.get(page).status_code == 403, page
    person.user_permissions.add(Permission.objects.get(codename="view_connector"))
    assert "Monday 9 March 2026, 09:00 CET" in client.get(page_of(made)).text
    assert client.get(LIST).status_code == client.get(PREVIEW).status_code == 200
    assert client.post(page_of(made), typed(connector)).status_code == 403
    assert client.post(ADD, typed(connector)).status_code == 403
    assert ADD not in client.get(flow_of(connector)).text
