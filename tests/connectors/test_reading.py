"""Files that nobody exported: one sentence each, and nothing is half done."""

import copy
import json

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.send_message import SendMessage
from apps.connectors.exporting import export
from apps.connectors.importing import import_into, import_new
from apps.connectors.models import Action, Connector, Step
from apps.connectors.reading import NotImportable
from tests.factories import ChannelFactory, ConnectorFactory, TagFactory, published

pytestmark = pytest.mark.django_db


@pytest.fixture
def document():
    message = {"channel": ChannelFactory(), "recipients": [{"to": "1"}], "text": "Hi"}
    tags = {"rows": {"tags": [{"tag": TagFactory()}]}}
    steps = [(Filter, {}), (SendMessage, message), (AddTag, tags), (Delay, {"amount": 2})]
    return json.loads(export(published(steps, name="Shop")))


def refusal(raw, replaces=True):
    """The sentence with which a new connector and a replaced draft are refused."""
    target = Connector.objects.first() or ConnectorFactory()
    before = state()
    with pytest.raises(NotImportable) as caught:
        import_new(raw, name="Copy")
    text = str(caught.value)
    if replaces:
        with pytest.raises(NotImportable) as replacing:
            import_into(target, raw)
        assert str(replacing.value) == text
    assert text.endswith(".") and "\n" not in text
    assert state() == before
    return text


def state():
    return [list(model.objects.values()) for model in (Connector, Step, Action, SendMessage)]


@pytest.mark.parametrize(
    "raw, text",
    [
        (b"", "it is no JSON."),
        (b"\xff\xfe\x00", "it is no JSON."),
        (b"PK\x03\x04", "it is no JSON."),
        (b'{"format": NaN}', "it is no JSON."),
        (b'{"format": ' + b"9" * 5000 + b"}", "it is no JSON."),
        (b"[]", "This is not the export of a connector."),
        (b"null", "This is not the export of a connector."),
        (b'{"format": 1}', "This is not the export of a connector."),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * 3_000_000, "The file is too large: up to 2,048 KB can be imported."),
    ],
    ids=lambda value: value if isinstance(value, str) else "raw",
)
def test_what_is_no_export(raw, text):
    assert text in refusal(raw)


def changed(path, value):
    def change(document):
        *outer, last = path
        part = document
        for key in outer:
            part = part[key]
        part[last] = value

    return change


ACTIONS = ("steps", 0, "actions")
FILTER, MESSAGE, TAGS, DELAY = ((*ACTIONS, place) for place in range(4))
CONDITION = {"left": "event.a", "operator": "text:is", "right": "x", "delimiter": "", "group": ""}


@pytest.mark.parametrize(
    "path, value, text",
    [
        (("format",), 2, "The file has format 2, which is newer than this installation"),
        (("format",), True, "its format is no number."),
        (("format",), "1", "its format is no number."),
        (("format",), 0, "its format is no number."),
        (("in_chaos",), True, 'The file: this installation knows no "in_chaos".'),
        (("installation",), 5, 'The file: "installation" must be a text.'),
        (("connector",), [], "The connector can't be read: an object was expected."),
        (("connector",), {"uid": "x"}, "The connector has no name."),
        (("connector", "uid"), "x", '"x" is no id.'),
        (("mapping",), {"phone": 5}, 'The field mapping: "phone" must be a text.'),
        (("mapping",), {"shoe": "x"}, "Field mapping, shoe: Field: Select a valid choice."),
        (("mapping",), {"phone": "{{ a"}, "Field mapping, phone: Value: An attribute can't be"),
        (("response", "body"), None, 'The connector: "mapped response" must be a text.'),
        (("response", "body"), "{% raw", "The connector: Mapped response: An attribute"),
        (("response", "stats"), "", 'response: this installation knows no "stats".'),
        (("dedupe",), 5, "The connector's dedupe can't be read"),
        (("dedupe", "by"), "luck", "Select a valid choice."),
        (("dedupe", "by"), "header", "Name the header."),
        (("settings",), [], "The settings can't be read"),
        (("settings", "token"), "x", 'The settings: this installation knows no "token".'),
        (("settings", "auth"), "trust", "Select a valid choice."),
        (("settings", "auth_tolerance"), -1, "greater than or equal to"),
        (("settings", "inbound_per_minute"), 10**30, "less than or equal to"),
        (("settings", "capture"), "yes", '"capture samples" must be true or false.'),
        (("settings", "credential"), {"kind": "key"}, "The credential has no name."),
        (("steps",), {}, "The steps are no list."),
        (("steps", 0), [], "Step 1 can't be read: an object was expected."),
        (("steps", 0, "name"), " ", "Step 1: Give the step a name."),
        (("steps", 0, "name"), "x" * 101, "Step 1: A step's name has up to 100 characters."),
        (("steps", 0, "actions"), "all", "Step 1: the actions are no list."),
        (("steps", 0, "colour"), "red", 'Step 1: this installation knows no "colour".'),
        ((*DELAY, "kind"), "fax", 'Step 1, action 4: this installation has no action kind "fax".'),
        ((*DELAY, "uid"), 7, '"uid" must be a text.'),
        ((*DELAY, "key"), "a b", 'Step 1, action 4 (Delay): "a b" is no key.'),
        ((*DELAY, "key"), "", 'Step 1, action 4 (Delay): "" is no key.'),
        ((*DELAY, "label"), "x" * 81, "Step 1, action 4 (Delay): Name: Ensure this value has at"),
        ((*DELAY, "enabled"), 1, '"enabled" must be true or false.'),
        ((*DELAY, "on_error"), "pray", "Select a valid choice."),
        ((*DELAY, "step_id"), 1, 'this installation knows no "step_id".'),
        ((*DELAY, "config", "pk"), 1, 'this installation knows no "pk".'),
        ((*DELAY, "config", "amount"), "2", '"amount" must be a whole number.'),
        ((*DELAY, "config", "amount"), True, '"amount" must be a whole number.'),
        ((*DELAY, "config", "amount"), 10**9, "(Delay): Amount: Ensure this value is less than"),
        ((*DELAY, "config", "amount"), -1, "(Delay): Amount: Ensure this value is greater than"),
        ((*DELAY, "config", "unit"), "ages", "(Delay): Unit: Select a valid choice."),
        ((*DELAY, "config", "date"), "{{ 1 |", "An attribute can't be read"),
        ((*DELAY, "config", "identifier"), None, '"identifier" must be a text.'),
        ((*DELAY, "config", "identifier"), "\ud800", "characters that can't be stored."),
        ((*DELAY, "config", "identifier"), "\0", "characters that can't be stored."),
        ((*DELAY, "refs"), {"step": {"name": "x"}}, 'this installation knows no "step".'),
        ((*DELAY, "rows"), {"tags": []}, 'this installation knows no "tags".'),
        ((*MESSAGE, "config", "recipients"), "x", "These rows can't be read."),
        ((*MESSAGE, "config", "recipients"), [], "This field is required."),
        ((*MESSAGE, "config", "recipients"), [{"to": "{{ x"}], "Row 1: An attribute can't be"),
        ((*MESSAGE, "config", "text"), "", "(Send Message): Message: This field is required."),
        ((*MESSAGE, "config", "channel"), 1, 'this installation knows no "channel".'),
        ((*MESSAGE, "refs", "channel"), 5, "(Send Message), channel can't be read"),
        ((*MESSAGE, "refs", "channel"), {"id": 1}, "(Send Message), channel has no name."),
        ((*FILTER, "config", "conditions"), [{**CONDITION, "operator": "x"}], "Row 1: choose"),
        ((*FILTER, "rows", "memberships"), [{"config": {}, "refs": {}}], "This field is required."),
        ((*TAGS, "rows", "tags"), {}, "(Add Tag): tags is no list."),
        ((*TAGS, "rows", "tags"), [5], "(Add Tag), tags 1 can't be read"),
    ],
)
def test_what_is_wrong_in_it(document, path, value, text):
    changed(path, value)(document)
    # A replaced draft keeps its settings, so what they say there is not looked at.
    values = path[:1] == ("settings",) and len(path) == 2
    assert text in refusal(json.dumps(document).encode(), replaces=not values)


def test_more_steps_than_a_connector_has(document):
    document["steps"] = document["steps"][:1] * 51
    assert refusal(json.dumps(document).encode()) == (
        "The file has 51 steps: a connector can have up to 50."
    )


def test_more_parts_than_anybody_makes(document):
    document["steps"][0]["actions"][2]["rows"]["tags"] *= 2_000
    assert "more than 2,000 actions and rows" in refusal(json.dumps(document).encode())


def test_what_is_there_twice(document):
    tags = document["steps"][0]["actions"][2]["rows"]["tags"]
    twice = copy.deepcopy(document)
    twice["steps"][0]["actions"].append(twice["steps"][0]["actions"][0])
    assert "stands in the file 2 times." in refusal(json.dumps(twice).encode())
    twice["steps"][0]["actions"][-1] = {**twice["steps"][0]["actions"][0], "key": "other"}
    assert "The id " in refusal(json.dumps(twice).encode())
    twice["steps"][0]["actions"][-1]["uid"] = "00000000-0000-4000-8000-000000000001"
    twice["steps"][0]["actions"][-1]["key"] = "delay"
    assert 'The key "delay" stands in the file 2 times.' in refusal(json.dumps(twice).encode())
    tags.append(tags[0])
    assert "(Add Tag), tags 2: " in refusal(json.dumps(document).encode())


def test_a_reference_with_a_hostile_id_is_none(document):
    for pk in (10**40, "x'; --", [1], {"a": 1}, None, 1.5, True):
        document["steps"][0]["actions"][1]["refs"]["channel"] = {"id": pk, "name": "Nobody"}
        imported = import_new(json.dumps(document).encode(), name="Copy")
        expected = 'Channel "Nobody" does not exist here: create it or choose another one.'
        if pk is not True:
            assert imported.unresolved[0].endswith(expected)
        imported.connector.delete()


def test_deep_values_are_refused(document):
    deep = "x"
    for _ in range(60):
        deep = [deep]
    document["steps"][0]["actions"][0]["config"]["conditions"] = deep
    assert refusal(json.dumps(document).encode()) == "The file is nested too deeply."


def test_a_byte_order_mark_is_no_harm(document):
    raw = b"\xef\xbb\xbf" + json.dumps(document).encode()
    assert import_new(raw, name="Copy").connector.steps.count() == 1
