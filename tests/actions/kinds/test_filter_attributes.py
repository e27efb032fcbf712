"""A filter's conditions on the contact's attributes and on what earlier actions gave."""

import pytest

from apps.actions.kinds.filter import Filter
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.set_attribute import SetAttribute
from apps.builder.links import kind_url
from apps.crm.attributes import set_attribute
from apps.crm.models import Attribute, Contact
from apps.messaging.models import BlacklistEntry
from tests.factories import (
    AttributeFactory,
    ChannelFactory,
    ConnectorFactory,
    ContactFactory,
    StepFactory,
)

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"
BY_PHONE = {"phone": "{{ event.phone }}"}
INSIDE = (MapContact, {"email": "inside@example.org"})
TYPE = Attribute.Type


def asking(left, operator, right=""):
    return Filter, {"conditions": [{"left": left, "operator": operator, "right": right}]}


@pytest.fixture
def judged(happen, told):
    """Run the steps and the question on an event of the contact; what the filter saw."""

    def run(*question, before=(), **event):
        steps = [*before, asking(*question), INSIDE]
        ran = happen(steps, event={"phone": PHONE, **event}, mapping=BY_PHONE)
        (seen,) = told(ran, "filter").went_in["conditions"]
        assert seen["passed"] is Contact.objects.filter(email="inside@example.org").exists()
        return seen

    return run


TYPED = [
    # As texts 9 would be greater than 10.
    (TYPE.NUMBER, "9", "number:less", "10", True),
    (TYPE.NUMBER, "10.50", "number:equals", "10.5", True),
    (TYPE.NUMBER, "123456789012345", "number:between", "123456789012345,123456789012346", True),
    (TYPE.NUMBER, "7", "number:greater", "{{ event.limit }}", False),
    (TYPE.DATE, "2026-03-31", "date:after", "2025-04-04", True),
    (TYPE.DATE, "2026-03-02", "date:is", "{{ now }}", True),
    (TYPE.DATETIME, "2026-03-02T11:00:00+02:00", "datetime:is", "2026-03-02T09:00:00Z", True),
    (TYPE.DATETIME, "2026-03-02 12:30", "datetime:after", "{{ now }}", True),
    (TYPE.DATETIME, "2026-03-02 12:30", "time:between", "12:00,13:00", True),
    (TYPE.TEXT, "Très GROS", "text:contains", "très", True),
    (TYPE.CHOICE, "gold", "text:in_list", "Silver, Gold", True),
    (TYPE.EMAIL, "Ana@Example.org", "email:ends_with", "@example.org", True),
    (TYPE.WEBSITE, "https://example.org/a", "website:starts_with", "HTTPS://example", True),
    (TYPE.FILE, "https://example.org/a.pdf", "text:ends_with", ".pdf", True),
]


@pytest.mark.parametrize(("type_", "value", "operator", "right", "holds"), TYPED)
def test_an_attribute_is_compared_by_its_type(judged, clock, type_, value, operator, right, holds):
    level = AttributeFactory(key="level", type=type_, choices=[{"choice": "Gold"}])
    set_attribute(ContactFactory(phone=PHONE), level, value)
    seen = judged("attr.level", operator, right, limit=50)
    assert (seen["passed"], "warning" in seen) == (holds, False)


@pytest.mark.parametrize(
    ("operator", "right", "holds", "warning"),
    [
        ("text:empty", "", True, None),
        ("number:not_empty", "", False, None),
        ("text:is_not", "gold", True, None),
        ("number:greater", "1", False, '"" is not a number'),
        ("number:not_equals", "1", False, '"" is not a number'),
        ("date:before", "2026-03-31", False, '"" is not a date'),
    ],
)
def test_an_attribute_that_the_contact_lacks_is_empty(judged, operator, right, holds, warning):
    AttributeFactory(key="level")
    seen = judged("attr.level", operator, right)
    assert (seen["left"], seen["passed"], seen.get("warning")) == (None, holds, warning)


def test_without_a_contact_an_attribute_is_empty(happen, told):
    AttributeFactory(key="level")
    run = happen([asking("attr.level", "text:empty"), INSIDE])
    assert told(run, "filter").note == "Passed"


def test_an_attribute_that_an_earlier_action_set_counts(judged):
    level = AttributeFactory(key="level", type=TYPE.NUMBER)
    before = [(SetAttribute, {"attribute": level, "value": "{{ event.points }}"})]
    seen = judged("attr.level", "number:greater", "9", before=before, points=10)
    assert (seen["left"], seen["passed"]) == (10, True)


@pytest.mark.parametrize(
    ("question", "left", "holds"),
    [
        (("contact.email", "email:ends_with", "@example.org"), "ana@example.org", True),
        (("contact.country", "text:is", "de"), "DE", True),
        (("contact.name", "text:empty"), "Ana", False),
    ],
)
def test_the_contacts_own_fields(judged, question, left, holds):
    ContactFactory(phone=PHONE, name="Ana", email="ana@example.org", country="DE")
    seen = judged(*question)
    assert (seen["left"], seen["passed"]) == (left, holds)


@pytest.mark.parametrize("blocked", [True, False])
def test_the_verdict_of_an_earlier_send(judged, blocked):
    shop = ChannelFactory()
    if blocked:
        BlacklistEntry.objects.create(channel=shop, address=PHONE)
    columns = {"channel": shop, "recipients": [{"to": PHONE}], "text": "Hi", "label": "First try"}
    question = ("send.first_try.verdict", "text:is", "blocked_blacklist")
    seen = judged(*question, before=[(SendMessage, columns)])
    assert seen["left"] == ("blocked_blacklist" if blocked else "send")
    assert seen["passed"] is blocked
    question = ("send.first_try.recipients[0].to", "text:is", PHONE)
    assert judged(*question, before=[(SendMessage, columns)])["passed"] is True


def test_other_values_of_earlier_actions(judged):
    before = [(MapContact, {"phone": PHONE, "label": "Who"})]
    seen = judged("mapped.who.created", "text:is", "true", before=before)
    assert (seen["left"], seen["passed"]) == (False, False)  # the field mapping was first
    assert judged("custom_variables.source", "text:empty")["passed"] is True


def test_the_form_offers_attributes_by_name_and_values_of_the_actions_before(admin_client):
    AttributeFactory(name="Birthday", key="birthday", type=TYPE.DATE)
    connector, shop = ConnectorFactory(), ChannelFactory()
    first = StepFactory(connector=connector, name="Say thanks")
    second = StepFactory(connector=connector)
    sender = SendMessage.objects.create(step=first, channel=shop, label="First try")
    MapContact.objects.create(step=first, position=1)
    guard = Filter.objects.create(step=second, position=0)
    later = SendMessage.objects.create(step=second, position=1, channel=shop, label="Later")

    def offered(page):
        context = admin_client.get(page).context
        return {one.path: one.sample for one in context["earlier_values"]}

    first_try = {"send.first_try.verdict": "Say thanks › First try"}
    found = offered(kind_url(Filter, "change", guard.pk))
    assert found.items() >= first_try.items() and "mapped.map_contact.created" in found
    assert "send.later.verdict" not in found
    assert offered(kind_url(SendMessage, "change", sender.pk)) == {}
    new = f"{kind_url(Filter, 'add')}?step="
    assert "send.later.verdict" in offered(f"{new}{second.pk}")
    assert not any(path.startswith("send.later") for path in offered(f"{new}{first.pk}"))
    text = admin_client.get(kind_url(Filter, "change", later.step.actions.first().pk)).content
    assert '<option value="attr.birthday">Birthday (Date)</option>' in text.decode()
    assert "send.first_try.verdict" in text.decode()
