"""A filter's conditions on what the contact belongs to: tags, opt-out list, blacklist."""

import pytest
from django.db.models import RestrictedError

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.filter import Filter, FilterMembership
from apps.actions.kinds.map_contact import MapContact
from apps.builder.links import kind_url
from apps.connectors.frozen import freeze_action
from apps.connectors.publish import find_problems
from apps.crm.models import Contact
from apps.engine.models import Run
from apps.messaging.models import Application, BlacklistEntry, OptOut, OptOutList
from tests.factories import ChannelFactory, ContactFactory, StepFactory, TagFactory, published

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
    rows = [{"what": name, "tag": vip if "tag" in name else None} for name in every_membership()]
    run = happen([asking(*rows, match="any"), INSIDE], [NEXT])
    entry = told(run, "filter")
    assert (entry.result, entry.note) == ("skipped", "Not passed: No contact mapped")
    assert [seen["passed"] for seen in entry.went_in["conditions"]] == [False] * len(rows)
    assert list(Contact.objects.values_list("email", flat=True)) == ["next@example.org"]


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


@pytest.mark.parametrize("what", ["has_no_tag", "not_blacklisted"])
def test_what_vanished_fails_by_name_and_guards_the_step(
    post, drain, clock, told, ana, vip, shop, what
):
    made = published(
        [asking({"what": what, "tag": vip} if "tag" in what else {"what": what, "channel": shop})],
        [NEXT],
        mapping=BY_PHONE,
    )
    made.steps.first().delete()
    shop.delete()
    vip.delete()
    post(made, {"phone": PHONE})
    drain()
    entry = told(Run.objects.get(), "filter")
    name = 'Tag "vip"' if "tag" in what else 'Channel "Shop"'
    assert (entry.result, entry.note) == ("failed", f"{name} was deleted")
    assert Contact.objects.filter(email="next@example.org").exists()


def test_what_a_condition_names_cannot_be_deleted(vip, shop):
    published([asking({"what": "has_tag", "tag": vip}, {"what": "blacklisted", "channel": shop})])
    for used in (vip, shop):
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
                "refs": {"tag": {"id": vip.pk, "name": "vip"}, "channel": None},
            },
            {
                "config": {"what": "blacklisted", "group": ""},
                "refs": {"tag": None, "channel": None},
            },
        ]
    }


def test_a_condition_without_its_tag_keeps_the_draft_from_being_published():
    action = Filter.objects.create(step=StepFactory())
    action.memberships.create(what="has_tag")
    action.memberships.create(what="blacklisted")
    (problem,) = find_problems(action.step.connector)
    assert (problem.text, problem.action_id) == ("Contact has tag: choose a tag.", action.pk)


# --- the form -------------------------------------------------------------------------------------


def form(*rows):
    sent = {"match": "all", "group_match": "any", "conditions": "[]", "enabled": "on"}
    sent |= {"memberships-TOTAL_FORMS": len(rows), "memberships-INITIAL_FORMS": 0}
    for number, row in enumerate(rows):
        blank = {"what": "", "tag": "", "channel": "", "group": ""}
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
        {},
    ]
    assert fill_in(*rows).status_code == 302
    action = Filter.objects.get()
    assert [str(row) for row in action.memberships.order_by("pk")] == [
        "Contact has tag vip",
        "Contact is on the opt-out list of Shop",
        "Contact isn't on the blacklist of any channel",
    ]
    assert action.summary_line == " and ".join(str(r) for r in action.memberships.order_by("pk"))


def test_the_form_drops_references_that_the_condition_has_no_use_for(fill_in, vip, shop):
    both = {"tag": vip.pk, "channel": shop.pk}
    assert fill_in({"what": "has_tag", **both}, {"what": "blacklisted", **both}).status_code == 302
    first, second = FilterMembership.objects.order_by("pk")
    assert (first.tag, first.channel, second.tag, second.channel) == (vip, None, None, shop)


def test_the_form_asks_for_the_tag(fill_in):
    answer = fill_in({"what": "has_no_tag"})
    assert "Choose a tag." in answer.content.decode()
    assert not Filter.objects.exists()


def test_the_form_shows_what_was_saved(admin_client, vip):
    action = Filter.objects.create(step=StepFactory())
    action.memberships.create(what="has_tag", tag=vip)
    text = admin_client.get(kind_url(Filter, "change", action.pk)).content.decode()
    assert f'<option value="{vip.pk}" selected>vip</option>' in text
    assert '<option value="has_tag" selected>Contact has tag</option>' in text
