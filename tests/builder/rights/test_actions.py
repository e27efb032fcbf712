"""What is done from the lists to what is ticked: nobody does it who may only look."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import RequestFactory
from django.urls import reverse

from tests.builder.rights import expected
from tests.builder.rights.asking import Answer, Somebody
from tests.builder.rights.expected import Doors
from tests.builder.rights.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.once]
LISTS = sorted(admin.site._registry.items(), key=lambda pair: pair[0]._meta.label)


def name_of(pair: tuple[type[Model], Any]) -> str:
    return pair[0]._meta.label_lower


def _offered(page: Any, somebody: Somebody) -> list[str]:
    """What a superuser is offered to do."""
    request = RequestFactory().get("/")
    request.user = User(pk=somebody.user.pk, is_superuser=True)
    return [*page.get_actions(request)]


def _does(somebody: Somebody, model: type[Model], action: str, world: World) -> Answer:
    opts = model._meta
    place = f"admin:{opts.app_label}_{opts.model_name}"
    # What others refer to can't be deleted, what goes on not run again: there are rows for that.
    known = [f"{place}_{action} pk", f"{place}_delete object_id"]
    pk = next((world.others[k] for k in known if k in world.others), world.row_of(model).pk)
    chosen = {
        "action": action,
        "_selected_action": [pk],
        # As the pages that ask send it.
        "post": "yes",
        "confirmed": "1",
        "seen": [f"{pk}:1"],
    }
    return somebody.asks("post", reverse(f"{place}_changelist"), chosen)


@pytest.mark.parametrize("pair", LISTS, ids=name_of)
def test_an_action_is_for_those_who_may_act(
    pair: tuple[type[Model], Any], somebody: Somebody, world: World
) -> None:
    """And it does something for a superuser, unless there is no such list (kinds of actions)."""
    model, page = pair
    every, offered = somebody.every_right, _offered(page, somebody)
    views = frozenset(name for name in every if ".view_" in name)
    for action in dict.fromkeys([*offered, "delete_selected"]):
        doors = _doors(model, action)
        for rights in (frozenset(), views, *doors.nearly(every)):
            somebody.holds(rights)
            answer = _does(somebody, model, action, world)
            assert not answer.wrote, f"{action} with all but {sorted(every - rights)}: {answer}"
        if action in offered and model not in world.kinds:
            somebody.holds(is_superuser=True)
            assert _does(somebody, model, action, world).wrote, f"{action} does nothing at all"


def _doors(model: type[Model], action: str) -> Doors:
    deletes = action in ("delete_selected", "remove_selected")
    return expected.removers(model) if deletes else expected.only(expected.home_of(model), "change")


@pytest.mark.parametrize("pair", LISTS, ids=name_of)
def test_no_list_is_edited_in_place(pair: tuple[type[Model], Any]) -> None:
    """A list that is (list_editable) has to be posted to in test_pages.py as a form is."""
    assert not pair[1].list_editable
