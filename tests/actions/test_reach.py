"""Every kind tells what it reaches. A new column of any kind fails here until somebody has decided
whether it leads outside: then `reaches` tells it, else it is listed below with the reason."""

import pytest
from django.db import models

from apps.actions.kinds.http_api import HttpApi
from apps.connectors import reach, registry
from apps.connectors.frozen import freeze_action, freeze_row, own_fields, row_fields, row_model
from apps.connectors.models import Action, Connector
from apps.core.fields import RowsField
from apps.core.models import Credential
from apps.messaging.models import Channel

KINDS = list(registry.kinds().values())
WORDS = {Credential: reach.CREDENTIAL, Connector: reach.CONNECTOR, Channel: reach.CHANNEL}
# What references may lead to untold: rows of this installation that only it reads.
INSIDE = {
    "auth.user",
    "crm.attribute",
    "crm.category",
    "crm.tag",
    "datastore.column",
    "datastore.counter",
    "datastore.table",
    "messaging.optoutlist",
}
# Text that stays here, by kind.
STAYS = {
    # It is kept with the contact, or says which value of it is meant.
    "add_category": {"new_categories"},
    "add_note": {"text"},
    "add_tag": {"new_tags"},
    "change_owner": {"email"},  # of a user of this installation: nothing is sent there
    "map_contact": {"phone", "name", "email"},
    "remove_category": {"category_names"},
    "remove_tag": {"tag_names"},
    "set_attribute": {"value"},
    # It is written into a table, or compared with what stands there.
    "create_row": {"values.value"},
    "delete_row": {"conditions.value", "conditions.delimiter"},
    "empty_row": {"conditions.value", "conditions.delimiter"},
    "find_row": {"conditions.value", "conditions.delimiter"},
    "update_row": {"conditions.value", "conditions.delimiter", "values.value"},
    "trigger_counter": {"amount"},
    # It decides whether and when the run goes on.
    "cancel_delay": {"targets.identifier"},
    "delay": {"date", "identifier"},
    "filter": {
        "conditions.left",
        "conditions.right",
        "conditions.delimiter",
        "conditions.group",
        "memberships.channel",  # is asked about
        "memberships.group",
        "counters.right",
        "counters.group",
    },
    # Who is written to less, or again; nothing is sent.
    "add_to_blacklist": {"channel", "address"},
    "add_to_optout": {"channel", "address"},
    "remove_from_blacklist": {"channel", "address"},
    "remove_from_optout": {"channel", "address"},
    # What is said, not to whom.
    "http_api": {
        "headers.name",
        "headers.value",
        "fields.name",
        "fields.value",
        "body",
        "credential_name",
        "no_secrets",  # fingerprints
    },
    "send_message": {"text"},
}


def fill(part, fields, at=""):
    """Put a text of its own into every column of a frozen part that may lead anywhere; returns the
    texts by the columns' paths."""
    texts = {}
    for field in fields:
        name = f"{at}{field.name}"
        if field.is_relation:
            if field.related_model._meta.label_lower not in INSIDE:
                texts[name] = f"to-{name}"
                part["refs"][field.name] = {"id": 1, "name": f"to-{name}"}
        elif isinstance(field, RowsField):
            columns = [column for column in field.columns if not column.choices]
            row = {column.name: f"{name}.{column.name}@x" for column in columns}
            part["config"][field.name] = [row]
            texts |= {f"{name}.{column}": text for column, text in row.items()}
        elif not field.choices and not isinstance(
            field, models.BooleanField | models.IntegerField | models.FloatField
        ):
            part["config"][field.name] = texts[name] = f"{name}@x"
    return texts


def told_and_texts(kind, *more):
    frozen = {"refs": {}, "rows": {}, **freeze_action(kind())}
    texts = fill(frozen, [*own_fields(kind), *more])
    for accessor in kind.row_sets:
        model = row_model(kind, accessor)
        row = freeze_row(model())
        texts |= fill(row, row_fields(model), f"{accessor}.")
        frozen["rows"][accessor] = [row]
    return kind.reaches(frozen["config"], frozen["refs"], frozen["rows"]), texts


def untold(kind, *more):
    told, texts = told_and_texts(kind, *more)
    words = {word for each in told for word in each.text.split()}
    return {name for name, text in texts.items() if text not in words}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slug)
def test_it_tells_every_column_that_leads_outside(kind):
    assert untold(kind) == STAYS.get(kind.slug, set())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slug)
def test_it_calls_what_it_reaches_by_its_name(kind):
    told, _ = told_and_texts(kind)
    assert {each.what for each in told} <= {reach.URL, reach.RECIPIENT, *WORDS.values()}
    fields = {f.name: f for f in own_fields(kind) if f.is_relation}
    for accessor in kind.row_sets:
        fields |= {f"{accessor}.{f.name}": f for f in row_fields(row_model(kind, accessor))}
    for each in told:
        if each.text.startswith("to-"):
            assert each.what == WORDS[fields[each.text.removeprefix("to-")].related_model]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.slug)
def test_an_empty_one_reaches_nothing(kind):
    frozen = {"refs": {}, "rows": {}, **freeze_action(kind())}
    assert kind.reaches(frozen["config"], frozen["refs"], frozen["rows"]) == []


def test_a_kind_that_tells_nothing_is_noticed(monkeypatch):
    monkeypatch.setattr(HttpApi, "reaches", Action.reaches)
    assert untold(HttpApi) - STAYS["http_api"] == {"url", "credential", "alert_emails"}


def test_a_column_that_is_new_is_noticed():
    column = models.CharField(max_length=100)
    column.set_attributes_from_name("callback")
    assert untold(HttpApi, column) == {*STAYS["http_api"], "callback"}
