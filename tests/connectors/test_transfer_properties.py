"""Freeze, thaw, export and import, over random drafts of every kind that there is."""

import json
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.connectors.exporting import export
from apps.connectors.frozen import freeze, freeze_action, thaw_action
from apps.connectors.importing import import_into, import_new
from apps.connectors.models import Action
from apps.connectors.publish import has_unpublished_changes, publish
from apps.core.models import Installation
from tests.factories.drafts import FACTORIES, random_draft

pytestmark = pytest.mark.django_db
over_drafts = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@contextmanager
def undone():
    """Each example starts from the same empty database."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def actions_of(document):
    return [action for step in document["steps"] for action in step["actions"]]


def uids_of(document):
    steps = document["steps"]
    return [part["uid"] for part in (document["connector"], *steps, *actions_of(document))]


def stripped(value, dropped):
    """`value` without what is named in `dropped`, at any depth."""
    if isinstance(value, dict):
        return {k: stripped(v, dropped) for k, v in value.items() if k not in dropped}
    return [stripped(item, dropped) for item in value] if isinstance(value, list) else value


@given(st.data())
@over_drafts
def test_freezing_what_was_thawed_changes_nothing(data):
    with undone():
        document = freeze(random_draft(data.draw))
        assert document == json.loads(json.dumps(document))
        for action in actions_of(document):
            assert freeze_action(thaw_action(action)) == action


@given(st.data())
@over_drafts
def test_a_copy_beside_the_original_is_the_same_but_for_its_uids(data):
    with undone():
        original = random_draft(data.draw)
        imported = import_new(export(original).encode(), name="Copy")
        assert imported.unresolved == []
        before, copy = freeze(original), freeze(imported.connector)
        for document in (before, copy):
            own = document["connector"]["name"]
            for ref in _refs(document):
                if ref["name"] == own:
                    ref.update(id=0, name="itself")
        assert stripped(copy, {"uid", "connector"}) == stripped(before, {"uid", "connector"})
        assert not set(uids_of(copy)) & set(uids_of(before))
        assert imported.connector.description == original.description
        assert imported.connector.inbound_per_minute == original.inbound_per_minute


@given(st.data())
@over_drafts
def test_a_file_put_back_into_its_connector_changes_nothing(data):
    with undone():
        connector = random_draft(data.draw)
        before, file = freeze(connector), export(connector)
        Action.objects.filter(step__connector=connector).update(label="edited")
        imported = import_into(connector, file.encode())
        assert freeze(imported.connector) == before
        assert export(imported.connector) == file


@given(st.data())
@over_drafts
def test_another_installation_finds_everything_by_name(data):
    with undone():
        origin = random_draft(data.draw)
        before, file = freeze(origin), export(origin)
        _move_elsewhere(origin)
        imported = import_new(file.encode())
        after = freeze(imported.connector)
        assert imported.unresolved == []
        assert uids_of(after) == uids_of(before)
        assert stripped(after, {"id", "installation"}) == stripped(before, {"id", "installation"})


def _refs(document):
    parts = actions_of(document)
    rows = [row for part in parts for listed in part.get("rows", {}).values() for row in listed]
    return [ref for part in (*parts, *rows) for ref in part.get("refs", {}).values() if ref]


def _move_elsewhere(connector):
    """Another installation: the connector is not there, and all that it names has another id."""
    Installation.objects.update(uid=uuid4())
    connector.delete()
    moved = [(model, list(model.objects.values())) for model in FACTORIES]
    for model, _ in reversed(moved):
        for row in model.objects.all():
            model.objects.filter(pk=row.pk).delete()  # the system's opt-out list, too
    for model, rows in moved:
        parents = {f.attname for f in model._meta.concrete_fields if f.related_model in FACTORIES}
        for values in rows:
            there = [name for name in ("id", *parents) if values[name] is not None]
            shifted = {name: values[name] + 100_000 for name in there}
            model(**values | shifted).save(force_insert=True)


@given(st.data())
@over_drafts
def test_what_can_be_published_is_unchanged_until_it_is_edited(data):
    with undone():
        connector = random_draft(data.draw)
        try:
            publish(connector)
        except ValueError:
            return  # it has problems
        connector.refresh_from_db()
        assert not has_unpublished_changes(connector)
        import_into(connector, export(connector).encode())
        connector.refresh_from_db()
        assert connector.published_draft == connector.draft_version
