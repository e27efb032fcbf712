"""Conditions on what a contact belongs to. They read the database, unlike those on values."""

from dataclasses import dataclass

from apps.actions.conditions import Verdict
from apps.crm.models import Contact, Tag
from apps.messaging import lists
from apps.messaging.models import Channel

# The names are in frozen plans: they never change.
MEMBERSHIPS = {
    "has_tag": "Contact has tag",
    "has_no_tag": "Contact doesn't have tag",
    "opted_out": "Contact is on the opt-out list",
    "not_opted_out": "Contact isn't on the opt-out list",
    "blacklisted": "Contact is on the blacklist",
    "not_blacklisted": "Contact isn't on the blacklist",
}
OF_TAGS = {"has_tag", "has_no_tag"}
OF_CHANNELS = {"opted_out", "not_opted_out", "blacklisted", "not_blacklisted"}
_LISTS = {"opted_out": lists.is_opted_out, "blacklisted": lists.is_blacklisted}


@dataclass(frozen=True)
class Membership:
    """Whether the contact belongs to it, and what was looked at."""

    verdict: Verdict
    left: list[str]
    right: str


def spell(what: str, target: object) -> str:
    """The condition as a sentence; `target` is the tag or the channel, empty for any channel."""
    printed = MEMBERSHIPS.get(what, what)
    if what in OF_CHANNELS:
        return f"{printed} of {target or 'any channel'}"
    return f"{printed} {target or ''}".strip()


def judge(
    what: str, contact: Contact | None, tag: Tag | None, channel: Channel | None
) -> Membership:
    """Without a contact, a tag to look for or a known condition it is false, the negative ones
    too, with a warning."""
    target = channel.name if channel else "any channel"
    if what in OF_TAGS:
        target = tag.name if tag else ""
    if contact is None:
        return Membership(Verdict(False, "No contact mapped"), [], target)
    if what in OF_TAGS and tag:
        links = contact.tag_links.select_related("tag").order_by("tag__name")
        tags = {link.tag_id: link.tag.name for link in links}
        verdict = Verdict((tag.pk in tags) == (what == "has_tag"))
        return Membership(verdict, list(tags.values()), target)
    if what in OF_CHANNELS:
        addresses = lists.addresses_of(contact, channel)
        listed = _LISTS[what.removeprefix("not_")](addresses, channel)
        return Membership(Verdict(listed != what.startswith("not_")), addresses, target)
    warning = f'"{spell(what, target)}" can\'t be judged'
    return Membership(Verdict(False, warning), [], target)
