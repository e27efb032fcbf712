"""Export, import and restore: what comes along, what stays, and what is told."""

import json
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.route_to_connector import RouteToConnector
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from apps.connectors.draft import StaleDraft, add_step
from apps.connectors.exporting import _without_ids, export, file_name
from apps.connectors.frozen import freeze
from apps.connectors.importing import import_into, import_new, restore
from apps.connectors.models import Action, Connector, Step
from apps.connectors.publish import find_problems, generate_new_url, publish
from apps.connectors.reading import NotImportable
from apps.connectors.references import by_name
from apps.core.models import Credential, Installation
from apps.crm.models import Contact, Tag
from apps.engine.models import Event
from apps.messaging.models import Channel
from tests.factories import (
    ChannelFactory,
    ConnectorFactory,
    CredentialFactory,
    TagFactory,
    published,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    """Published, with a reference of each sort: a column, a row, a condition's row."""
    channel, tag = ChannelFactory(name="Shop line"), TagFactory(name="vip")
    message = {"channel": channel, "recipients": [{"to": "+4915112345678"}], "text": "Hi"}
    return published(
        [
            (Filter, {"rows": {"memberships": [{"what": "has_tag", "tag": tag}]}}),
            (SendMessage, message),
            (AddTag, {"new_tags": "seen", "rows": {"tags": [{"tag": tag}]}}),
        ],
        name="Shop",
        description="All orders",
        mapping={"phone": "{{ event.phone }}"},
    )


def elsewhere(connector):
    """The file, read by an installation that has nothing of what it names."""
    file = export(connector).encode()
    Installation.objects.update(uid=uuid4())
    Connector.objects.all().delete()
    Channel.objects.all().delete()
    Tag.objects.all().delete()
    return file


def texts(connector):
    return [problem.text for problem in find_problems(connector)]


# --- the file -------------------------------------------------------------------------------------


def test_the_file_has_no_secret(shop):
    credential = CredentialFactory(
        name="Shop key", kind="basic", username="shopuser", secret="hush hush"
    )
    Connector.objects.update(auth="basic", credential=credential, inbound_per_minute=30)
    generate_new_url(Connector.objects.get(), overlap=None)
    before = Connector.objects.get().token
    shop.refresh_from_db()
    file = export(shop)
    assert not [text for text in ("hush", "shopuser", credential.sealed) if text in file]
    assert before not in file and "/hooks/" not in file
    assert json.loads(file)["settings"] == {
        "description": "All orders",
        "capture": True,
        "auth": "basic",
        "auth_header": "",
        "auth_tolerance": 300,
        "inbound_per_minute": 30,
        "credential": {"name": "Shop key", "kind": "basic"},
    }


def test_the_file_is_the_same_each_time_and_diffs_by_line(shop):
    file = export(shop)
    assert file == export(Connector.objects.get())
    assert file.endswith("}\n")
    assert file == json.dumps(json.loads(file), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    Step.objects.update(name="Größer")
    lines = set(export(shop).splitlines()) ^ set(file.splitlines())
    assert len(lines) == 2 and any("Größer" in line for line in lines)


def test_people_are_named_by_their_login_alone(admin_user):
    owner = Contact._meta.get_field("owner")
    part = {"config": {}, "refs": {"owner": {"id": admin_user.pk, "name": str(admin_user)}}}
    assert _without_ids(part, [owner])["refs"] == {"owner": {"id": None, "name": "admin"}}
    assert by_name(type(admin_user).objects.all(), "admin") == admin_user
    assert by_name(type(admin_user).objects.all(), "nobody") is None


def test_a_revision_is_exported_as_it_was(shop):
    file = export(shop)
    AddTag.objects.update(new_tags="edited")
    assert export(shop) != file
    assert export(shop, shop.published) == file
    assert file_name(shop, shop.published) == "shop-revision-1.json"


def test_a_file_is_called_as_its_connector():
    assert file_name(ConnectorFactory(name="Größe & Co. / Köln")) == "groe-co-koln.json"
    nameless = ConnectorFactory(name="купить")
    assert file_name(nameless) == f"connector-{nameless.pk}.json"


# --- a new connector ------------------------------------------------------------------------------


def test_a_copy_brings_everything_and_is_not_published(shop, post):
    copy = import_new(export(shop).encode(), name=" Shop  copy ").connector
    assert (copy.name, copy.description, copy.published) == ("Shop copy", "All orders", None)
    assert copy.token != shop.token and copy.uid != shop.uid
    assert copy.draft_version == 1
    assert find_problems(copy) == []
    summaries = list(Action.objects.filter(step__connector=copy).values_list("summary_line"))
    assert summaries == list(
        Action.objects.filter(step__connector=shop).values_list("summary_line")
    )
    assert post(copy, {}).status_code == 404
    publish(copy)
    assert post(copy, {}).status_code == 202


def test_a_name_that_is_taken_is_refused(shop):
    with pytest.raises(NotImportable, match='A connector called "Shop" exists already'):
        import_new(export(shop).encode())


def test_a_connector_that_names_itself_goes_on_naming_itself():
    other = published([(StopRun, {})], name="Other")
    origin = ConnectorFactory(name="Origin")
    step = origin.steps.create(name="One")
    RouteToConnector.objects.create(step=step, connector=other)
    cancel = CancelDelay.objects.create(step=step)
    cancel.targets.create(connector=origin, identifier="x")
    copy = import_new(export(origin).encode(), name="Copy").connector
    actions = Action.objects.filter(step__connector=copy)
    assert actions.get(kind="route_to_connector").routetoconnector.connector == other
    assert actions.get(kind="cancel_delay").canceldelay.targets.get().connector == copy


def test_at_home_a_renamed_row_is_found_by_its_id_and_a_new_one_by_its_name(shop):
    file = export(shop).encode()
    Tag.objects.filter(name="vip").update(name="gold")
    copy = import_new(file, name="Copy").connector
    rows = AddTag.objects.get(step__connector=copy).tags
    assert rows.get().tag.name == "gold"
    Connector.objects.all().delete()
    Tag.objects.all().delete()
    again = TagFactory(pk=555, name="VIP")
    copy = import_new(file, name="Copy").connector
    assert AddTag.objects.get(step__connector=copy).tags.get().tag == again


def test_elsewhere_an_id_means_nothing(shop):
    file, tag = elsewhere(shop), Tag.objects.first()
    assert tag is None
    ids = {ref["id"] for ref in _refs(json.loads(file)) if ref["name"] == "vip"}
    for pk in ids:
        TagFactory(pk=pk, name="something else")
    imported = import_new(file)
    assert not AddTag.objects.get(step__connector=imported.connector).tags.exists()


def _refs(document):
    actions = [action for step in document["steps"] for action in step["actions"]]
    rows = [row for part in actions for listed in part.get("rows", {}).values() for row in listed]
    return [ref for part in (*actions, *rows) for ref in part.get("refs", {}).values() if ref]


def test_what_is_not_here_is_told_and_keeps_the_draft_from_being_published(shop, operator_saves):
    imported = import_new(elsewhere(shop))
    connector = imported.connector
    tag = 'Tag "vip" does not exist here: create it or choose another one.'
    channel = 'Channel "Shop line" does not exist here: create it or choose another one.'
    assert [text.partition(": ")[2] for text in imported.unresolved] == [tag, channel, tag]
    assert texts(connector) == [tag, channel, tag]
    assert str(connector.uid) == str(shop.uid)
    line, vip = ChannelFactory(name="Shop line"), TagFactory(name="vip")
    operator_saves(SendMessage.objects.get(), channel=line)
    assert texts(connector) == [tag, tag]
    Filter.objects.get().memberships.update(tag=vip)
    operator_saves(Filter.objects.get())
    operator_saves(AddTag.objects.get())
    assert texts(connector) == []


@pytest.fixture
def operator_saves():
    def save(action, **columns):
        for name, value in columns.items():
            setattr(action, name, value)
        action.save()

    return save


def test_a_row_that_is_left_out_is_told_with_what_was_in_it():
    other = ConnectorFactory(name="Reminders")
    origin = ConnectorFactory(name="Origin")
    cancel = CancelDelay.objects.create(step=origin.steps.create(name="One"))
    cancel.targets.create(connector=other, identifier="{{ event.id }}")
    file = elsewhere(origin)
    assert import_new(file).unresolved == [
        'One › Cancel Delay: Connector "Reminders" (identifier: {{ event.id }}) does not exist '
        "here: create it or choose another one."
    ]


@pytest.mark.parametrize("kind, found", [("key", True), ("basic", False)])
def test_a_credential_is_found_by_name_and_kind(shop, kind, found):
    Connector.objects.update(
        auth="header", auth_header="X-Key", credential=CredentialFactory(name="Shop key", kind=kind)
    )
    file = json.loads(export(Connector.objects.get()))
    file["settings"]["credential"]["kind"] = "key"
    imported = import_new(json.dumps(file).encode(), name="Copy")
    connector = imported.connector
    assert (connector.auth, connector.auth_header) == ("header", "X-Key")
    assert (connector.credential is not None) is found
    text = 'Credential "Shop key" does not exist here: create it or choose another one.'
    assert imported.unresolved == ([] if found else [text])
    problem = "Choose the credential that posts are checked with."
    assert texts(connector) == ([] if found else [problem])


def test_what_nobody_can_show_is_not_let_in(shop, post):
    """A check without its credential refuses every post, also before anybody has looked."""
    Connector.objects.update(
        auth="header", auth_header="X-Key", credential=CredentialFactory(name="Shop key")
    )
    file = elsewhere(Connector.objects.get())
    Credential.objects.all().delete()
    connector = import_new(file).connector
    assert post(connector, {}, headers={"X-Key": "anything"}).status_code == 401
    assert not Event.objects.exists()


def test_a_reference_that_is_open_stays_open_in_the_next_file(shop):
    first = import_new(elsewhere(shop)).connector
    again = import_new(export(first).encode(), name="Again")
    assert again.unresolved == []
    assert "Select the application that the message is sent from." in texts(again.connector)


# --- replacing and restoring ----------------------------------------------------------------------


def test_replacing_a_draft_leaves_what_is_in_force(shop, post, drain):
    target = published([(StopRun, {})], name="Target", description="Mine", response_body="old")
    before = Connector.objects.values("token", "auth", "published", "description", "uid").get(
        name="Target"
    )
    import_into(target, export(shop).encode())
    assert before == Connector.objects.values(*before).get(name="Target")
    target.refresh_from_db()
    assert target.response_body == "" and target.steps.get().actions.count() == 3
    assert target.published_draft != target.draft_version
    assert target.mappings.get().field == "phone"
    assert post(target, {}).status_code == 202


def test_uids_are_kept_at_home_and_fresh_where_they_are_taken(shop):
    file = export(shop).encode()
    before = freeze(shop)
    import_into(shop, file)
    assert freeze(shop) == before
    other = ConnectorFactory(name="Other")
    import_into(other, file)
    mine, theirs = ({str(uid) for uid in _uids(each)} for each in (shop, other))
    assert len(mine) == len(theirs) == 4 and not mine & theirs


def _uids(connector):
    yield from connector.steps.values_list("uid", flat=True)
    yield from Action.objects.filter(step__connector=connector).values_list("uid", flat=True)


def test_uids_that_only_a_revision_names_are_not_given_to_a_copy(shop):
    file = export(shop).encode()
    shop.steps.all().delete()
    copy = import_new(file, name="Copy").connector
    revision = {action["uid"] for action in shop.published.document["steps"][0]["actions"]}
    assert not revision & {str(uid) for uid in _uids(copy)}


def test_a_restored_draft_is_what_was_published(shop):
    document = shop.published.document
    SendMessage.objects.update(text="edited")
    add_step(shop, "More", shop.draft_version)
    shop.mappings.all().delete()
    Connector.objects.update(response_body="edited")
    shop.refresh_from_db()
    assert restore(shop, shop.published, shop.draft_version) == []
    assert freeze(shop) == document
    shop.refresh_from_db()
    assert shop.published_draft == shop.draft_version


def test_a_restore_tells_what_is_gone(shop):
    Connector.objects.get().steps.all().delete()
    Tag.objects.all().delete()
    shop.refresh_from_db()
    sentences = restore(shop, shop.published, shop.draft_version)
    assert len(sentences) == 2 and all('Tag "vip" does not exist' in text for text in sentences)
    assert SendMessage.objects.get().channel.name == "Shop line"
    assert len(texts(shop)) == 2


def test_what_somebody_else_edited_is_not_replaced_unseen(shop):
    add_step(Connector.objects.get(), "Mine", shop.draft_version)
    with pytest.raises(StaleDraft):
        restore(shop, shop.published, shop.draft_version)
    assert shop.steps.count() == 2


def test_a_restore_of_what_an_older_version_published(shop):
    document = shop.published.document
    del document["response"]
    document["dedupe"] = {"header": "X-Id"}
    document["steps"][0]["actions"][1]["config"]["was_removed"] = True
    shop.published.document = document
    restore(shop, shop.published, shop.draft_version)
    shop.refresh_from_db()
    assert (shop.dedupe_by, shop.dedupe_header) == ("header", "X-Id")


def test_saving_an_action_settles_what_was_open(shop):
    imported = import_new(elsewhere(shop))
    action = AddTag.objects.get(step__connector=imported.connector)
    assert action.unresolved
    action.save()
    action.refresh_from_db()
    assert action.unresolved == []


def test_a_form_still_asks_for_what_an_import_may_leave_open():
    step = ConnectorFactory().steps.create(name="One")
    with pytest.raises(ValidationError, match="cannot be blank"):
        RouteToConnector(step=step).full_clean(exclude=["kind", "key"])
