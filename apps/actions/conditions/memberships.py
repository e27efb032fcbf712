"""Conditions on what a contact belongs to. They read the database, unlike those on values."""

from dataclasses import dataclass

from apps.actions.conditions import Verdict
from apps.crm.models import Category, Contact, Tag
from apps.messaging import lists
from apps.messaging.models import Channel

# The names are in frozen plans: they never change.
MEMBERSHIPS = {
    "has_tag": "Contact has tag",
    "has_no_tag": "Contact doesn't have tag",
    "in_category": "Contact is in category",
    "not_in_category": "Contact isn't in category",
    "opted_out": "Contact is on the opt-out list",
    "not_opted_out": "Contact isn't on the opt-out list",
    "blacklisted": "Contact is on the blacklist",
    "not_blacklisted": "Contact isn't on the blacklist",
}
# What each is about: the name of the reference that it looks at.
_CONCERNS = {
    "has_tag": "tag",
    "has_no_tag": "tag",
    "in_category": "category",
    "not_in_category": "category",
    "opted_out": "channel",
    "not_opted_out": "channel",
    "blacklisted": "channel",
    "not_blacklisted": "channel",
}
_NEGATIVE = {"has_no_tag", "not_in_category", "not_opted_out", "not_blacklisted"}
_LISTS = {"opted_out": lists.is_opted_out, "blacklisted": lists.is_blacklisted}

Target = Tag | Category | Channel


@dataclass(frozen=True)
class Membership:
    """Whether the contact belongs to it, and what was looked at."""

    verdict: Verdict
    left: list[str]
    right: str


def concerns(what: str) -> str:
    """tag, category or channel; empty for a condition that this installation does not know."""
    return _CONCERNS.get(what, "")


def about(target: str) -> list[str]:
    """The conditions that are about a tag, a category or a channel."""
    return [what for what, concerned in _CONCERNS.items() if concerned == target]


def needs_target(what: str) -> bool:
    """Whether it can't be asked without naming what to look for; a channel may be any."""
    return concerns(what) in ("tag", "category")


def spell(what: str, target: Target | None) -> str:
    """The condition as a sentence; without a channel it is about any."""
    printed = MEMBERSHIPS.get(what, what)
    if concerns(what) == "channel":
        return f"{printed} of {target or 'any channel'}"
    return f"{printed} {target or ''}".strip()


def judge(what: str, contact: Contact | None, target: Target | None) -> Membership:
    """Without a contact, something to look for or a known condition it is false, the negative ones
    too, with a warning."""
    name = str(target or ("any channel" if concerns(what) == "channel" else ""))
    if contact is None:
        return Membership(Verdict(False, "No contact mapped"), [], name)
    if isinstance(target, Tag | Category):
        belongs, left = _marks(contact, target)
    elif concerns(what) == "channel":
        left = lists.addresses_of(contact, target)
        belongs = _LISTS[what.removeprefix("not_")](left, target)
    else:
        return Membership(Verdict(False, f'"{spell(what, target)}" can\'t be judged'), [], name)
    return Membership(Verdict(belongs != (what in _NEGATIVE)), left, name)


def _marks(contact: Contact, target: Tag | Category) -> tuple[bool, list[str]]:
    """Whether the contact has it, and all that it has of the kind."""
    marks = type(target)._default_manager.filter(contact_links__contact=contact)
    names = dict(marks.order_by("name").values_list("pk", "name"))
    return target.pk in names, list(names.values())
