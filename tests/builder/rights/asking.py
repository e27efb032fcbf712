"""Asking for a page with these rights and those, and what was written meanwhile."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.core.cache import cache
from django.db import connection, transaction
from django.template.response import SimpleTemplateResponse
from django.test import Client
from django.urls import reverse

_VERB = r"(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)"
_WRITE = re.compile(rf"\s*(?:WITH\b.*?\b)?{_VERB}\s+\"?(\w+)", re.I | re.S)
Rights = frozenset[str]
PASSWORD = "Correct-horse-7"
# What every page may write: who is signed in, and who guessed passwords.
_ASIDE = re.compile("django_session|axes_")


@dataclass(frozen=True)
class Answer:
    status: int
    location: str
    # The tables that were written to; everything was undone again.
    wrote: list[str]
    content: bytes

    @property
    def leads_to_sign_in(self) -> bool:
        return self.status == 302 and self.location.startswith(reverse("admin:login"))


class Somebody:
    """One account, which is given rights as needed; and a stranger, who isn't signed in."""

    def __init__(self) -> None:
        self.user = User.objects.create_user("somebody", password=PASSWORD, is_staff=True)
        # One client for all requests: making one makes all of the middleware anew.
        self._client = Client()
        self._client.force_login(self.user)
        self._signed_in = self._client.cookies.output(header="", sep=";")
        named = Permission.objects.values_list("content_type__app_label", "codename", "pk")
        self._pks = {f"{app}.{codename}": pk for app, codename, pk in named}
        self._groups: dict[Rights, int] = {}

    @property
    def every_right(self) -> Rights:
        return frozenset(self._pks)

    def prepare(self, sorts: Iterable[Rights]) -> None:
        """Make these sets of rights ready to be held, since writing hundreds of rights for each
        account would take longer than all that is asked with them."""
        self._groups |= {rights: self._group(rights) for rights in sorts}

    def _group(self, rights: Rights) -> int:
        unknown = rights - self._pks.keys()
        assert not unknown, f"There are no such rights: {unknown}"
        group = Group.objects.create(name=f"Sort {Group.objects.count()}")
        given: Any = Group.permissions.through
        given.objects.bulk_create(
            given(group=group, permission_id=self._pks[name]) for name in rights
        )
        return int(group.pk)

    def holds(self, rights: Rights = frozenset(), is_superuser: bool = False) -> None:
        """These rights, and no other ones."""
        group = self._groups.get(rights) or self._group(rights)
        self.user.groups.set([group])
        User.objects.filter(pk=self.user.pk).update(is_superuser=is_superuser)
        # unfold remembers what somebody has found.
        cache.clear()

    def asks(self, method: str, address: str, sent: Any = None, shown: bool = False) -> Answer:
        """Unless it is to be shown, the page is not rendered, which is most of the work: whether
        it is for this account is found out before."""
        self._client.cookies = SimpleCookie(self._signed_in)
        return self._ask(method, address, sent, shown)

    def asks_signed_out(self, method: str, address: str, sent: Any = None) -> Answer:
        self._client.cookies = SimpleCookie()
        return self._ask(method, address, sent, False)

    def _ask(self, method: str, address: str, sent: Any, shown: bool) -> Answer:
        kwargs = {"content_type": "application/json"} if isinstance(sent, str) else {}
        # Views read uploads to their end.
        for upload in sent.values() if isinstance(sent, dict) else ():
            if hasattr(upload, "seek"):
                upload.seek(0)
        wrote: list[str] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            found = _WRITE.match(sql)
            if found and not _ASIDE.match(found[1]):
                wrote.append(found[1])
            return execute(sql, params, many, context)

        with transaction.atomic(), connection.execute_wrapper(note), _rendering(shown):
            response = getattr(self._client, method)(address, sent, **kwargs)
            content = response.getvalue() if response.streaming else response.content
            transaction.set_rollback(True)
        return Answer(response.status_code, response.headers.get("Location", ""), wrote, content)


@contextmanager
def _rendering(shown: bool) -> Iterator[None]:
    render = SimpleTemplateResponse.render

    def leave_blank(response: Any) -> Any:
        response.content = b""
        return response

    if not shown:
        SimpleTemplateResponse.render = leave_blank  # type: ignore[method-assign]
    try:
        yield
    finally:
        SimpleTemplateResponse.render = render  # type: ignore[method-assign]
