"""A filter's conditions on what the contact belongs to: tags, categories, opt-out list,
blacklist."""

import pytest
from django.db.models import RestrictedError

from apps.actions.conditions.memberships import concerns
from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.filter import Filter, FilterMembership
from apps.actions.kinds.map_contact import MapContact
from apps.builder.links import kind_url
from apps.connectors.frozen import freeze_action
from apps.connectors.models import Revision
from apps.connectors.publish import find_problems
from apps.crm.models import Contact
from apps.crm.services import add_categories, add_tags
from apps.engine.models import Run
from apps.messaging.models import Application, BlacklistEntry, OptOut, OptOutList
from tests.factories import (
    CategoryFactory,
    ChannelFactory,
    ContactFactory,
    StepFactory,
    TagFactory,
    published,
)

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
BY_PHONE = {"phone": "{{ event.phone }}"}
INSIDE = (MapContact, {"email": "inside@example.org"})
NEXT = (MapContact, {"email": "next@example.org"})


@pytest.fixture
def ana():
    return ContactFactory(name="Ana", phone=PHONE, email="Ana@Example.org")


@pytest.fixture
def vip():
    return TagFactory(name="vip")


@pytest.fixture
def shop():
    return ChannelFactory(name="Shop")


def asking(*memberships, **columns):
    return Filter, {"rows": {"memberships": list(memberships)}, **columns}


def inside():
    return Contact.objects.filter(email="inside@example.org").exists()


@pytest.fixture
def judged(happen, told, ana):
    """Post an event of Ana; the filter's entry and what it saw of each condition."""

    def run(*memberships, **columns):
        ran = happen(
            [asking(*memberships, **columns), INSIDE], event={"phone": PHONE}, mapping=BY_PHONE
        )
        entry = told(ran, "filter")
        assert (entry.result == "done") is inside()
        return entry, entry.went_in["conditions"]

    return run


@pytest.mark.parametrize("has", [True, False])
@pytest.mark.parametrize("asked", ["has_tag", "has_no_tag"])
def test_tags(judged, ana, vip, has, asked):
    other = TagFactory(name="new")
    for tag in [vip, other] if has else [other]:
        ana.tag_links.create(tag=tag)
    entry, (seen,) = judged({"what": asked, "tag": vip})
    assert seen["passed"] is inside() is (has == (asked == "has_tag"))
    assert (seen["left"], seen["right"]) == (["new", "vip"] if has else ["new"], "vip")
    spelled = "Contact has tag vip" if asked == "has_tag" else "Contact doesn't have tag vip"
    assert seen["condition"] == spelled
    assert entry.note == ("Passed" if seen["passed"] else f"Not passed: {spelled}")


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("asked", ["in_category", "not_in_category"])
def test_categories(judged, ana, inside, asked):
    gold, new = CategoryFactory(name="Gold"), CategoryFactory(name="New")
    add_categories(ana, [gold, new] if inside else [new])
    _, (seen,) = judged({"what": asked, "category": gold})
    assert seen["passed"] is (inside == (asked == "in_category"))
    assert (seen["left"], seen["right"]) == (["Gold", "New"] if inside else ["New"], "Gold")
    verb = "is" if asked == "in_category" else "isn't"
    assert seen["condition"] == f"Contact {verb} in category Gold"


def listed(name, channel, address):
    if name == "blacklisted":
        return BlacklistEntry.objects.create(channel=channel, address=address)
    system, _ = OptOutList.objects.get_or_create(is_system=True, defaults={"name": "All"})
    return OptOut.objects.create(list=system, channel=channel, address=address)


@pytest.mark.parametrize("name", ["opted_out", "blacklisted"])
@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize(
    ("asked", "on", "holds"),
    [
        ("Shop", "Shop", True),
        ("Shop", "Other", False),
        (None, "Other", True),
        ("Shop", None, False),
    ],
)
def test_opt_out_list_and_blacklist(judged, shop, name, negated, asked, on, holds):
    channels = {"Shop": shop, "Other": ChannelFactory(name="Other")}
    if on:
        listed(name, channels[on], PHONE)
    what = f"not_{name}" if negated else name
    _, (seen,) = judged({"what": what, "channel": channels.get(asked)})
    assert seen["passed"] is (holds != negated)
    assert seen["right"] == (asked or "any channel")
    assert seen["left"] == [PHONE] if asked else [PHONE, "ana@example.org"]
    verb = "isn't" if negated else "is"
    place = "opt-out list" if name == "opted_out" else "blacklist"
    assert seen["condition"] == f"Contact {verb} on the {place} of {asked or 'any channel'}"


def test_an_email_channel_lists_email_addresses(judged):
    mail = ChannelFactory(application=Application.EMAIL)
    listed("opted_out", mail, "ana@example.org")
    _, (seen,) = judged({"what": "opted_out", "channel": mail})
    assert (seen["passed"], seen["left"]) == (True, ["ana@example.org"])


def test_without_a_contact_every_one_is_false_and_told(happen, told, vip):
    named = {"tag": vip, "category": CategoryFactory()}
    rows = [{"what": name, **targets(name, named)} for name in every_membership()]
    run = happen([asking(*rows, match="any"), INSIDE], [NEXT])
    entry = told(run, "filter")
    assert (entry.result, entry.note) == ("skipped", "Not passed: No contact mapped")
    assert [seen["passed"] for seen in entry.went_in["conditions"]] == [False] * len(rows)
    assert list(Contact.objects.values_list("email", flat=True)) == ["next@example.org"]


def targets(what, named):
    """What the condition is about, of what there is."""
    return {name: row for name, row in named.items() if name == concerns(what)}


def every_membership():
    return [name for name, _ in FilterMembership._meta.get_field("what").choices]


@pytest.mark.parametrize(("paid", "passes"), [("yes", True), ("no", False)])
def test_they_stand_beside_other_conditions_and_in_groups(happen, told, vip, paid, passes):
    conditions = [
        {"left": "event.paid", "operator": "text:is", "right": "yes", "group": "who"},
        {"left": "event.phone", "operator": "text:not_empty", "right": ""},
    ]
    guard = asking({"what": "has_tag", "tag": vip, "group": "who"}, conditions=conditions)
    event = {"phone": PHONE, "paid": paid}
    run = happen([guard, INSIDE], event=event, mapping=BY_PHONE)
    assert [seen["passed"] for seen in told(run, "filter").went_in["conditions"]] == [
        passes,
        True,
        False,
    ]
    assert inside() is passes


def test_a_tag_of_the_same_run_counts(happen, vip):
    steps = [(AddTag, {"rows": {"tags": [{"tag": vip}]}}), asking({"what": "has_tag", "tag": vip})]
    happen([*steps, INSIDE], event={"phone": PHONE}, mapping=BY_PHONE)
    assert inside()


@pytest.mark.parametrize("what", ["has_no_tag", "not_in_category", "not_blacklisted"])
def test_what_vanished_fails_by_name_and_guards_the_step(
    post, drain, clock, told, ana, vip, shop, what
):
    named = {"tag": vip, "category": CategoryFactory(name="Gold"), "channel": shop}
    made = published([asking({"what": what, **targets(what, named)})], [NEXT], mapping=BY_PHONE)
    made.steps.first().delete()
    for row in named.values():
        row.delete()
    post(made, {"phone": PHONE})
    drain()
    entry = told(Run.objects.get(), "filter")
    name = {"tag": 'Tag "vip"', "category": 'Category "Gold"', "channel": 'Channel "Shop"'}[
        concerns(what)
    ]
    assert (entry.result, entry.note) == ("failed", f"{name} was deleted")
    assert Contact.objects.filter(email="next@example.org").exists()


def test_what_a_condition_names_cannot_be_deleted(vip, shop):
    gold = CategoryFactory()
    rows = [{"what": "blacklisted", "channel": shop}, {"what": "in_category", "category": gold}]
    published([asking({"what": "has_tag", "tag": vip}, *rows)])
    for used in (vip, shop, gold):
        with pytest.raises(RestrictedError):
            used.delete()


def test_they_are_frozen_by_reference_and_name(vip, shop):
    action = Filter.objects.create(step=StepFactory())
    action.memberships.create(what="has_tag", tag=vip, group="who")
    action.memberships.create(what="blacklisted")
    assert freeze_action(action)["rows"] == {
        "memberships": [
            {
                "config": {"what": "has_tag", "group": "who"},
                "refs": {"tag": {"id": vip.pk, "name": "vip"}, "category": None, "channel": None},
            },
            {
                "config": {"what": "blacklisted", "group": ""},
                "refs": {"tag": None, "category": None, "channel": None},
            },
        ],
        "counters": [],
    }


def test_a_condition_frozen_before_there_were_categories_is_judged(
    post, drain, clock, told, ana, vip
):
    made = published([asking({"what": "has_tag", "tag": vip}), INSIDE], mapping=BY_PHONE)
    add_tags(ana, [vip])
    document = made.published.document
    del document["steps"][0]["actions"][0]["rows"]["memberships"][0]["refs"]["category"]
    Revision.objects.update(document=document)
    post(made, {"phone": PHONE})
    drain()
    assert inside()


@pytest.mark.parametrize("target", ["tag", "category"])
def test_a_condition_without_its_target_keeps_the_draft_from_being_published(target):
    action = Filter.objects.create(step=StepFactory())
    row = action.memberships.create(what="has_tag" if target == "tag" else "in_category")
    action.memberships.create(what="blacklisted")
    (problem,) = find_problems(action.step.connector)
    assert (problem.text, problem.action_id) == (f"{row}: choose a {target}.", action.pk)


# --- the form -------------------------------------------------------------------------------------


def form(*rows):
    sent = {"match": "all", "group_match": "any", "conditions": "[]", "enabled": "on"}
    sent |= {"memberships-TOTAL_FORMS": len(rows), "memberships-INITIAL_FORMS": 0}
    sent |= {"counters-TOTAL_FORMS": 0, "counters-INITIAL_FORMS": 0}
    for number, row in enumerate(rows):
        blank = {"what": "", "tag": "", "category": "", "channel": "", "group": ""}
        sent |= {f"memberships-{number}-{k}": v for k, v in (blank | row).items()}
    return sent


@pytest.fixture
def fill_in(admin_client):
    step = StepFactory()

    def send(*rows):
        return admin_client.post(f"{kind_url(Filter, 'add')}?step={step.pk}", form(*rows))

    return send


def test_the_form_saves_rows_with_and_without_references(fill_in, vip, shop):
    rows = [
        {"what": "has_tag", "tag": vip.pk},
        {"what": "opted_out", "channel": shop.pk, "group": "a"},
        {"what": "not_blacklisted"},
        {"what": "not_in_category", "category": CategoryFactory(name="Gold").pk},
        {},
    ]
    assert fill_in(*rows).status_code == 302
    action = Filter.objects.get()
    assert [str(row) for row in action.memberships.order_by("pk")] == [
        "Contact has tag vip",
        "Contact is on the opt-out list of Shop",
        "Contact isn't on the blacklist of any channel",
        "Contact isn't in category Gold",
    ]
    assert action.summary_line == " and ".join(str(r) for r in action.memberships.order_by("pk"))


def test_the_form_drops_references_that_the_condition_has_no_use_for(fill_in, vip, shop):
    every = {"tag": vip, "category": CategoryFactory(), "channel": shop}
    sent = {name: row.pk for name, row in every.items()}
    asked = ["has_tag", "not_in_category", "blacklisted"]
    assert fill_in(*({"what": what, **sent} for what in asked)).status_code == 302
    rows = FilterMembership.objects.order_by("pk")
    kept = [{name: getattr(row, name) for name in every if getattr(row, name)} for row in rows]
    assert kept == [targets(what, every) for what in asked]


def test_the_form_asks_for_the_target(fill_in):
    assert "Choose a tag." in fill_in({"what": "has_no_tag"}).content.decode()
    assert "Choose a category." in fill_in({"what": "in_category"}).content.decode()
    assert not Filter.objects.exists()


def test_the_form_shows_what_was_saved(admin_client, vip):
    action = Filter.objects.create(step=StepFactory())
    action.memberships.create(what="has_tag", tag=vip)
    text = admin_client.get(kind_url(Filter, "change", action.pk)).content.decode()
    assert f'<option value="{vip.pk}" selected>vip</option>' in text
    assert '<option value="has_tag" selected>Contact has tag</option>' in text
