"""Changes that people make to a contact's own fields in the back office, told as news."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest

from apps.crm import news
from apps.crm.models import Contact
from apps.crm.news import Change, What
from apps.crm.services import MAPPABLE


def cause_of(request: HttpRequest) -> dict[str, Any]:
    return {"cause": "user", "cause_id": request.user.pk}


@contextmanager
def telling(request: HttpRequest, contact: Contact) -> Iterator[None]:
    """Tell what is saved inside: that the contact is new, or which of its own fields were changed.
    Tags, categories and attributes are told by the functions that change them."""
    before = _values(contact) if contact.pk else None
    yield
    by = cause_of(request)
    if before is None:
        news.tell(Change(What.CONTACT_CREATED, [contact.pk], **by))
        return
    after = _values(contact)
    owners = [{"owner": values.pop("owner")} for values in (before, after)]
    news.tell_of_fields(What.CONTACT_CHANGED, contact.pk, before, after, **by)
    news.tell_of_fields(What.OWNER_CHANGED, contact.pk, *owners, **by)


def _values(contact: Contact) -> dict[str, str]:
    """The own fields of the contact as they are stored."""
    stored = Contact._base_manager.select_related("owner").get(pk=contact.pk)
    return {name: str(getattr(stored, name) or "") for name in [*MAPPABLE, "owner"]}
