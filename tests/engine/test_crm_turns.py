"""A CRM change makes one event and one run, in its transaction, at little cost."""

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.crm import news, services
from apps.crm.models import ContactTag
from apps.crm.news import Change, What
from apps.engine import crm_changes, group
from apps.engine.models import Event, Run
from tests.engine.crm_listening import PHONE, events, listening, tags_whom_it_maps
from tests.factories import ConnectorFactory, ContactFactory, TagFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def tagger():
    return tags_whom_it_maps()


def test_a_turn_that_is_done_again_makes_one_event(post, drain, clock, tagger, monkeypatch):
    connector = listening("tag_added")
    lost, write = [], group._write

    def lose_once(*args):
        write(*args)
        if not lost:
            lost.append(Event.objects.filter(connector=connector).count())
            raise OperationalError("database is locked")

    monkeypatch.setattr(group, "_write", lose_once)
    post(tagger, {"phone": PHONE})
    drain()
    assert lost == [1]  # it was there, and went with the turn
    assert len(events(connector)) == Run.objects.filter(connector=connector).count() == 1


def test_an_action_that_breaks_after_the_change_takes_its_event_along(
    post, drain, clock, tagger, monkeypatch
):
    connector = listening("tag_added")
    add = services.add_tags

    def break_after(*args, **kwargs):
        add(*args, **kwargs)
        raise RuntimeError("broken")

    monkeypatch.setattr(services, "add_tags", break_after)
    post(tagger, {"phone": PHONE})
    drain()
    assert not ContactTag.objects.exists() and events(connector) == []


def test_what_is_rolled_back_was_never_told():
    connector = listening("tag_added")
    with pytest.raises(SystemExit), transaction.atomic():
        services.add_tags(ContactFactory(), [TagFactory()])
        assert len(events(connector)) == 1
        raise SystemExit
    assert not Event.objects.exists() and not Run.objects.exists()


def looks(work):
    with CaptureQueriesContext(connection) as captured:
        work()
    return [q["sql"] for q in captured.captured_queries if "engine_crmtrigger" in q["sql"]]


def test_a_turn_looks_once_for_who_listens_and_not_at_all_without_a_change(
    post, drain, clock, tagger, monkeypatch
):
    monkeypatch.setattr(group, "SECONDS", 60)  # all in one turn, however busy the machine is
    for number in range(5):
        post(tagger, {"phone": f"+491511234567{number}"})
    assert len(looks(drain)) == 1
    for number in range(5):
        post(tagger, {"phone": f"+491511234567{number}"})
    assert looks(drain) == []
    assert ContactTag.objects.count() == 5


def test_a_trigger_is_in_force_as_soon_as_it_is_saved(post, drain, clock, tagger):
    connector = ConnectorFactory()
    post(tagger, {"phone": PHONE})
    drain()
    connector = listening("tag_added")
    post(tagger, {"phone": "+4915112345679"})
    drain()
    assert len(events(connector)) == 1


def test_one_change_of_many_contacts_is_a_few_statements(monkeypatch, django_assert_num_queries):
    contacts = [ContactFactory().pk for _ in range(25)]
    connector = listening("tag_added")
    monkeypatch.setattr(crm_changes, "SLICE", 10)
    tag = TagFactory(name="imported")
    change = Change(What.TAG_ADDED, [*contacts, 10**9], tag.pk, tag.name)
    with CaptureQueriesContext(connection) as captured:
        news.tell(change)
    work = [q for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]]
    assert len(work) <= 1 + 3 * 5
    assert [e["contact"]["id"] for e in events(connector)] == contacts
    assert sorted(Run.objects.values_list("contact_id", flat=True)) == sorted(contacts)
