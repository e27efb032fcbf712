"""Documents of an older shape read as if they had been frozen today."""

import copy
import json
from pathlib import Path

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.connectors.completing import completed
from apps.connectors.frozen import FORMAT, freeze
from apps.connectors.importing import import_new
from apps.connectors.models import Connector, Revision
from apps.connectors.publish import has_unpublished_changes
from tests.factories import TagFactory, published

pytestmark = pytest.mark.django_db

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


def published_as(connector, document):
    """Let events run on `document`, as an older version has published it."""
    revision = Revision.objects.create(connector=connector, number=99, document=document)
    Connector.objects.filter(pk=connector.pk).update(published=revision)
    return Connector.objects.select_related("published").get(pk=connector.pk)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_document_is_completed_once_and_for_all(path):
    document = json.loads(path.read_text())
    before = copy.deepcopy(document)
    today = completed(document)
    assert document == before
    assert today["format"] == FORMAT
    assert completed(today) == today


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_document_is_not_read_as_changed(path):
    """Imported by today's code, its draft is what the old document says."""
    document = json.loads(path.read_text())
    connector = import_new(path.read_bytes()).connector
    today = freeze(connector)
    for key in ("installation", "connector"):
        document[key] = today[key]
    for step in document["steps"]:  # what the file names is not here
        for action in step["actions"]:
            if action["kind"] == "send_message":
                action["refs"]["channel"] = None
            if action["kind"] == "add_tag":
                action["rows"]["tags"] = []
            if action["kind"] == "cancel_delay":
                (target,) = action["rows"]["targets"]
                target["refs"]["connector"]["id"] = connector.pk
    assert not has_unpublished_changes(published_as(connector, document))


def test_what_was_added_since_is_no_change_and_what_was_edited_is():
    connector = published([(Delay, {"amount": 2})])
    document = freeze(connector)
    del document["response"], document["dedupe"]["path"], document["mapping"]
    action = document["steps"][0]["actions"][0]
    del action["config"]["unit"], action["enabled"]
    action["config"]["was_removed"] = 1
    connector = published_as(connector, document)
    assert not has_unpublished_changes(connector)
    Delay.objects.update(unit="days")
    assert has_unpublished_changes(connector)


def test_the_dedupe_rule_of_the_oldest_documents_is_a_header_or_nothing():
    document = freeze(published([(Delay, {})]))
    document["dedupe"] = {"header": "X-Id"}
    assert completed(document)["dedupe"] == {"by": "header", "header": "X-Id", "path": ""}
    document["dedupe"] = {"header": ""}
    assert completed(document)["dedupe"]["by"] == "none"


def test_rows_are_completed_too():
    document = freeze(published([(AddTag, {"rows": {"tags": [{"tag": TagFactory()}]}})]))
    rows = document["steps"][0]["actions"][0]["rows"]
    whole = copy.deepcopy(rows)
    del rows["tags"][0]["config"]
    assert completed(document)["steps"][0]["actions"][0]["rows"] == whole
