"""The pages of events."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.models import Connector
from apps.engine.models import Event, Run
from tests.factories import ConnectorFactory, published

pytestmark = pytest.mark.django_db
LIST = reverse("admin:engine_event_changelist")


def tagger(**columns):
    return published([(AddTag, {"new_tags": "x"})], **columns)


def page_of(client, event):
    return client.get(reverse("admin:engine_event_change", args=[event.pk])).content.decode()


def test_a_json_body_is_shown_indented(post, admin_client):
    post(tagger(), {"id": 7, "name": "Ünï <b>", "odd": "\ud800"}, path="?shop=berlin")
    page = page_of(admin_client, Event.objects.get())
    assert "{\n  &quot;id&quot;: 7," in page
    assert "Ünï" in page or "\\u00dc" in page
    assert "<b>&quot;" not in page
    assert "Custom variables" in page and "&quot;shop&quot;: &quot;berlin&quot;" in page
    assert f"Run {Run.objects.get().pk}" in page


def test_a_rejected_body_is_shown_as_it_came_with_the_reason(post, admin_client):
    post(tagger(), data="{broken", content_type="application/json")
    event = Event.objects.get()
    page = page_of(admin_client, event)
    assert "{broken" in page and "The body is not valid JSON" in page and "Rejected" in page
    assert "The body is not valid JSON" in admin_client.get(LIST).content.decode()


def test_samples_raw_bytes_and_empty_bodies_are_readable(post, admin_client):
    post(ConnectorFactory(), {"first": True})
    sample = Event.objects.get()
    assert (sample.state, "Kept as a sample" in page_of(admin_client, sample)) == ("sample", True)
    connector = tagger()
    post(connector, data="<order>7</order>", content_type="text/xml")
    assert "&lt;order&gt;7&lt;/order&gt;" in page_of(admin_client, Event.objects.latest("pk"))
    post(connector, data=b"\xff\xfe\x00", content_type="application/octet-stream")
    assert "3 bytes that are not text" in page_of(admin_client, Event.objects.latest("pk"))
    post(connector, data=b"", content_type="text/plain")
    assert "The body is empty." in page_of(admin_client, Event.objects.latest("pk"))
    page = admin_client.get(LIST).content.decode()
    assert "(no body)" in page and "&lt;order&gt;" in page


def test_filters_and_search(post, admin_client):
    shop, other = tagger(name="Shop"), tagger(name="Other")
    post(shop, {"mark": "first-body"})
    post(other, {"mark": "second-body"})
    post(shop, data="{", content_type="application/json")
    rejected = admin_client.get(LIST, {"state__exact": "rejected"}).content.decode()
    assert "first-body" not in rejected and "The body is not valid JSON" in rejected
    of_shop = admin_client.get(LIST, {"connector__id__exact": shop.pk}).content.decode()
    assert "first-body" in of_shop and "second-body" not in of_shop
    event = Event.objects.get(connector=other)
    found = admin_client.get(LIST, {"q": f"#{event.pk}"}).content.decode()
    assert "second-body" in found and "first-body" not in found
    for nonsense in ("abc", "9" * 30, "-1"):
        assert "first-body" not in admin_client.get(LIST, {"q": nonsense}).content.decode()


def test_events_outlive_their_connector(post, drain, admin_client):
    connector = tagger(name="Gone soon")
    post(connector, {"mark": "still-here"})
    drain()
    Connector.objects.filter(pk=connector.pk).delete()
    for page in (admin_client.get(LIST), admin_client.get(reverse("admin:engine_run_changelist"))):
        assert f"Connector {connector.pk} (deleted)" in page.content.decode()
    assert "(deleted)" in page_of(admin_client, Event.objects.get())
    run = admin_client.get(reverse("admin:engine_run_change", args=[Run.objects.get().pk]))
    assert "(deleted)" in run.content.decode()


def test_the_list_never_counts_the_table_and_takes_the_same_queries_for_any_number_of_rows(
    post, admin_client
):
    connector = tagger()

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(LIST).status_code == 200
        return [query["sql"] for query in captured]

    post(connector, {})
    few = queries()
    for number in range(60):
        post(connector, {"number": number})
    many = queries()
    assert len(many) == len(few)
    assert not [sql for sql in many if "COUNT(" in sql.upper()]
    page = admin_client.get(LIST, {"p": 2}).content.decode()
    assert page.count('name="_selected_action"') == 0
    assert page.count("field-number") == 11  # of 61, after a page of 50


@pytest.mark.postgresql
def test_the_list_reads_the_end_of_the_primary_key(is_postgresql, post, admin_client):
    if not is_postgresql:
        pytest.skip("The plan of PostgreSQL")
    post(tagger(), {})
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO engine_event (connector_id, source, state, received_at, content_type,"
            " form, body, query, error) SELECT connector_id, source, state, received_at,"
            " content_type, form, body, query, error FROM engine_event, generate_series(1, 20000)"
        )
        cursor.execute("ANALYZE engine_event")
    with CaptureQueriesContext(connection) as captured:
        assert admin_client.get(LIST).status_code == 200
    listing = next(
        q["sql"] for q in captured if q["sql"].startswith("SELECT") and "LIMIT 50" in q["sql"]
    )
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {listing}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan Backward using engine_event_pkey" in plan
    assert "Seq Scan on engine_event" not in plan
