"""The operators' pages of counters."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.trigger_counter import TriggerCounter
from apps.datastore import counters
from apps.datastore.models import Counter, CounterValue
from tests.factories import ContactFactory, CounterFactory, published

pytestmark = pytest.mark.django_db

LIST = reverse("admin:datastore_counter_changelist")
ADD = reverse("admin:datastore_counter_add")
VALUES = reverse("admin:datastore_countervalue_changelist")


def page(name, counter):
    return reverse(f"admin:datastore_counter_{name}", args=[counter.pk])


def text(answer):
    return answer.content.decode()


def typed(**more):
    return {"name": "Orders", "scope": "account", "starts": "0", "reset_every": "1", **more}


def test_a_counter_is_added_and_named_in_texts(admin_client):
    assert admin_client.post(ADD, typed(name=" Orders  today ")).status_code == 302
    made = Counter.objects.get()
    assert (made.name, made.key, made.maximum, made.reset_unit) == (
        "Orders today",
        "orders_today",
        None,
        "",
    )
    assert "{{ counters.orders_today }}" in text(admin_client.get(LIST))


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"name": "ORDERS"}, "There is a counter with this name already."),
        ({"maximum": "5", "starts": "5"}, "The maximum must be greater than the start."),
        ({"timezone": "Mars/Base"}, "This is not a timezone"),
        ({"reset_every": "0"}, "greater than or equal to 1"),
        ({"starts": str(10**16)}, "less than or equal to"),
        ({"key": "Order No"}, "Write it in small letters"),
    ],
)
def test_what_makes_no_counter_is_refused(admin_client, more, error):
    CounterFactory(name="Orders")
    answer = admin_client.post(ADD, typed(**{"name": "Other", **more}))
    assert error in text(answer)
    assert Counter.objects.count() == 1


def test_the_list_shows_where_each_stands_in_the_same_queries_for_any_number(admin_client, clock):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            shown = text(admin_client.get(LIST))
        return len(captured), shown

    counters.add(CounterFactory(name="Big", maximum=99_000, reset_at_maximum=True), 12_345)
    few, shown = queries()
    assert "12,345" in shown and "From 0 to 99,000, then again" in shown
    for number in range(10):
        counters.add(CounterFactory(reset_unit="month", reset_every=3), number)
    many, shown = queries()
    assert many == few
    assert "Every 3 months" in shown


def test_its_page_says_where_it_stands_and_when_it_resets(admin_client, clock):
    counter = CounterFactory(reset_unit="day", timezone="Europe/Berlin")
    counters.add(counter, 42)
    shown = text(admin_client.get(page("change", counter)))
    assert ">42<" in shown.replace("\n", "").replace(" ", "")
    assert "Tuesday 3 March 2026, 00:00 (Europe/Berlin)" in shown
    clock.now = datetime(2026, 3, 3, tzinfo=UTC)
    assert ">0<" in text(admin_client.get(page("change", counter))).replace("\n", "").replace(
        " ", ""
    )


def test_scope_and_key_never_change(admin_client):
    counter = CounterFactory(name="Orders", key="orders")
    sent = typed(name="Sales", scope="contact", key="sales", maximum="7")
    assert admin_client.post(page("change", counter), sent).status_code == 302
    counter.refresh_from_db()
    assert (counter.name, counter.scope, counter.key) == ("Sales", "account", "orders")
    assert counter.maximum == 7


def test_saving_does_not_undo_a_reset_that_came_meanwhile(admin_client):
    counter = CounterFactory(name="Orders")
    counters.reset_all(counter)
    with CaptureQueriesContext(connection) as captured:
        admin_client.post(page("change", counter), typed(name="Sales"))
    (update,) = [q["sql"] for q in captured if q["sql"].startswith('UPDATE "datastore_counter"')]
    assert '"name"' in update and '"round"' not in update


def test_reset_now_asks_and_then_resets_for_everybody(admin_client):
    counter = CounterFactory(name="Visits", scope="contact", starts=2)
    people = [ContactFactory() for _ in range(2)]
    for contact in people:
        counters.add(counter, 5, contact)
    reset = reverse("admin:datastore_counter_reset_now", args=[counter.pk])
    assert reset in text(admin_client.get(page("change", counter)))
    asked = text(admin_client.get(reset))
    assert "Set the counter &quot;Visits&quot; back to 2 for every contact?" in asked
    assert counters.current(counter, people[0]) == 7
    answer = admin_client.post(reset, {"confirmed": "1"}, follow=True)
    assert "The counter &quot;Visits&quot; was reset." in text(answer)
    counter.refresh_from_db()
    assert [counters.current(counter, contact) for contact in people] == [2, 2]


def test_only_those_who_may_change_counters_reset_them(client):
    counter = CounterFactory()
    counters.add(counter, 5)
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_counter"))
    client.force_login(viewer)
    reset = reverse("admin:datastore_counter_reset_now", args=[counter.pk])
    assert reset not in text(client.get(page("change", counter)))
    assert client.post(reset, {"confirmed": "1"}).status_code == 403
    assert client.get(VALUES).status_code == 403
    counter.refresh_from_db()
    assert counters.current(counter) == 5


def test_a_counter_in_use_is_not_deleted_and_the_page_says_where_it_is_used(admin_client):
    counter = CounterFactory(name="Orders")
    step = published([(TriggerCounter, {"counter": counter})], name="Shop").steps.get()
    answer = admin_client.post(page("delete", counter), {"post": "yes"}, follow=True)
    used = f"it is used by Shop › {step} › Trigger Counter."
    assert used in text(answer)
    assert Counter.objects.exists()


def test_deleting_one_takes_its_values_along(admin_client):
    counter = CounterFactory(name="Orders")
    counters.add(counter, 5)
    asked = text(admin_client.get(page("delete", counter)))
    assert "The counter &quot;Orders&quot; with all of its values" in asked
    admin_client.post(page("delete", counter), {"post": "yes"})
    assert not CounterValue.objects.exists()


# --- the values of contacts ----------------------------------------------------------------------


@pytest.fixture
def visits():
    return CounterFactory(name="Visits", scope="contact")


def test_values_are_listed_by_contact_and_found_by_number_or_email(admin_client, visits):
    ana = ContactFactory(name="Ana", phone="+4915112345678", email="Ana@Example.org")
    ben = ContactFactory(name="Ben", phone="+4915112345679")
    counters.add(visits, 1_234, ana)
    counters.add(visits, 5, ben)
    counters.add(CounterFactory(name="Account"), 77)

    def found(**query):
        with CaptureQueriesContext(connection) as captured:
            shown = text(admin_client.get(VALUES, query))
        assert not [q for q in captured if "COUNT(" in q["sql"].upper()]
        return [name for name in ("Ana", "Ben", ">Account<") if f">{name}<" in shown], shown

    names, shown = found(counter__id__exact=visits.pk)
    assert names == ["Ana", "Ben"] and "1,234" in shown
    assert found(q="0049 151 12345678")[0] == ["Ana"]
    assert found(q="ana@example.ORG")[0] == ["Ana"]
    assert found(q="nobody")[0] == []
    assert f"?counter__id__exact={visits.pk}" in text(admin_client.get(LIST))


def test_some_of_them_are_reset_after_asking(admin_client, visits):
    people = [ContactFactory() for _ in range(3)]
    for contact in people:
        counters.add(visits, 5, contact)
    chosen = list(CounterValue.objects.order_by("pk").values_list("pk", flat=True)[:2])
    sent = {"action": "reset_selected", "_selected_action": chosen}
    assert "back to their start for these contacts?" in text(admin_client.post(VALUES, sent))
    assert CounterValue.objects.count() == 3
    answer = admin_client.post(VALUES, {**sent, "confirmed": "1"}, follow=True)
    assert "Reset: 2 of 2." in text(answer)
    assert [counters.current(visits, contact) for contact in people] == [0, 0, 5]


def test_a_contacts_page_shows_its_counters(admin_client, visits):
    ana = ContactFactory()
    shown = reverse("admin:crm_contact_change", args=[ana.pk])
    assert "Visits" not in text(admin_client.get(shown))
    counters.add(visits, 1_234, ana)
    answer = text(admin_client.get(shown))
    assert "Visits" in answer and "1,234" in answer
