"""Every page, asked for by every sort of account: signed out, without rights, with all rights but
the page's own, with the page's own alone, and so on. See expected.py for the rule.

By which columns lists can be looked up: tests/core/test_lists.py."""

from dataclasses import dataclass

import pytest

from tests.builder.rights import expected, walk
from tests.builder.rights.asking import Answer, Somebody
from tests.builder.rights.expected import ANYBODY, Rights, Rule
from tests.builder.rights.posting import BODIES, UNWRITTEN, Body, body_of, query_of
from tests.builder.rights.walk import Page
from tests.builder.rights.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PAGES = walk.pages()
# Asked without saying for what, it refuses everybody (test_looking_up.py).
AUTOCOMPLETE = "admin:autocomplete"


@dataclass
class Asked:
    """A page, and what a superuser gets of it."""

    rule: Rule
    address: str
    body: Body
    # By method.
    owners: dict[str, Answer]

    def of(self, method: str) -> expected.Doors:
        return self.rule.get if method == "get" else self.rule.post


@pytest.fixture
def asked(request: pytest.FixtureRequest, somebody: Somebody, world: World) -> Asked:
    page: Page = request.param
    rule = expected.rule_of(page)
    arguments = {name: world.argument(page, name) for name in page.arguments}
    address = walk.address(page, arguments) + query_of(page, world)
    somebody.holds(is_superuser=True)
    shown = somebody.asks("get", address, shown=rule.writes)
    body = body_of(page, world, shown, address) if rule.writes else {}
    owners = {"get": shown, "post": somebody.asks("post", address, body)}
    return Asked(rule, address, body, owners)


every_page = pytest.mark.parametrize("asked", PAGES, ids=lambda page: page.id, indirect=True)


@every_page
def test_a_page_is_for_whom_it_says(
    asked: Asked, somebody: Somebody, request: pytest.FixtureRequest
) -> None:
    _check_owner(asked, request.node.callspec.id)
    _check_signed_out(asked, somebody)
    for rights in asked.rule.sorts(somebody.every_right):
        somebody.holds(rights)
        for method in ("get", "post"):
            answer = somebody.asks(method, asked.address, asked.body if method == "post" else None)
            told = f"{method} {asked.address} with {_in_words(rights, somebody.every_right)}: "
            _check(asked, method, rights, answer, f"{told}{answer.status}, wrote {answer.wrote}")


def _in_words(rights: Rights, every: Rights) -> str:
    lacking = every - rights
    return f"{sorted(rights)}" if len(rights) < len(lacking) else f"all but {sorted(lacking)}"


def _check(asked: Asked, method: str, rights: Rights, answer: Answer, told: str) -> None:
    doors, owners = asked.of(method), asked.owners[method].status
    assert not answer.leads_to_sign_in and answer.status < 500, told
    if not doors.opens_for(rights):
        # What isn't there for superusers either need not be refused.
        absent = owners in (404, 405) or doors.nobody
        assert answer.status in (403, *((owners,) if absent else ())), told
        assert not answer.wrote, told
    elif owners != 403:
        assert answer.status != 403, told
    if doors is not ANYBODY and (method == "get" or not asked.rule.writes):
        assert not answer.wrote, told


def _check_owner(asked: Asked, id: str) -> None:
    """A superuser is refused only what nobody does, and what is posted writes where it should."""
    for method, answer in asked.owners.items():
        told = f"{method} {asked.address}: {answer.status}"
        assert answer.status < 500, told
        assert answer.status != 403 or asked.of(method).nobody or id == AUTOCOMPLETE, told
    is_hook = asked.rule.get is ANYBODY and asked.rule.writes
    assert is_hook or not asked.owners["get"].wrote
    wrote = bool(asked.owners["post"].wrote)
    does = asked.rule.writes and not asked.rule.post.nobody and id not in UNWRITTEN
    assert wrote == does, f"{asked.address} got {asked.body} and answered {asked.owners['post']}"


def _check_signed_out(asked: Asked, somebody: Somebody) -> None:
    for method in ("get", "post"):
        sent = asked.body if method == "post" else None
        answer = somebody.asks_signed_out(method, asked.address, sent)
        told = f"{method} {asked.address}: {answer.status}, wrote {answer.wrote}"
        if asked.of(method) is ANYBODY:
            assert not answer.leads_to_sign_in and answer.status < 500, told
        else:
            assert answer.leads_to_sign_in and not answer.wrote, told


def test_no_exception_is_left_over() -> None:
    used: set[str] = set()
    for page in PAGES:
        expected.rule_of(page, used)
    assert used == {*expected.EXCEPTIONS, *expected.HOMES}


def test_what_is_posted_is_posted_to_a_page() -> None:
    ids = [page.id for page in PAGES]
    assert len({*ids}) == len(ids)
    assert {*BODIES, *UNWRITTEN} <= {*ids}
