"""What boxes and the search look up: rows of other models, for those who may see them."""

from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.urls import reverse

from tests.builder.rights import expected
from tests.builder.rights.asking import Somebody
from tests.builder.rights.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SITE = admin.site
# Every key by which a box could ask: those of all models, whether a form has it or not.
KEYS = [
    field
    for model in apps.get_models()
    for field in [*model._meta.fields, *model._meta.many_to_many]
    if field.remote_field and SITE.is_registered(field.remote_field.model)
]
SEARCHED = [model for model, page in SITE._registry.items() if page.search_fields]


@pytest.mark.parametrize("model", SITE._registry, ids=lambda model: model._meta.label_lower)
def test_a_box_finds_rows_for_those_who_may_see_them(model: Any, somebody: Somebody) -> None:
    doors = expected.viewers(expected.home_of(model))
    keys = [field for field in KEYS if field.remote_field.model is model]
    found = 200 if model in SEARCHED else 404
    sorts = [frozenset(), *doors.ways, *doors.nearly(somebody.every_right)]
    for rights in sorts:
        somebody.holds(rights)
        for field in keys:
            opts = field.model._meta
            query = f"app_label={opts.app_label}&model_name={opts.model_name}"
            address = f"{reverse('admin:autocomplete')}?{query}&field_name={field.name}"
            # Where there is nothing to search, nobody is told more.
            status = found if doors.opens_for(rights) or found == 404 else 403
            assert somebody.asks("get", address).status == status, f"{address} with {rights}"


@pytest.mark.parametrize("model", SEARCHED, ids=lambda model: model._meta.label_lower)
def test_the_search_finds_what_one_may_see(
    model: type[Model], somebody: Somebody, world: World
) -> None:
    opts, row = model._meta, world.row_of(model)
    form = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk])
    doors = expected.viewers(expected.home_of(model))
    for rights in doors.nearly(somebody.every_right):
        somebody.holds(rights)
        assert form not in _found(somebody, row), f"{form} with {rights}"


def test_the_search_finds_something(somebody: Somebody, world: World) -> None:
    """Or else the test above would show nothing."""
    somebody.holds(is_superuser=True)
    found = {
        model._meta.label_lower
        for model in SEARCHED
        if f"/{world.row_of(model).pk}/change/" in _found(somebody, world.row_of(model))
    }
    assert {"crm.contact", "crm.tag", "core.credential", "messaging.message"} <= found


def _found(somebody: Somebody, row: Any) -> str:
    """What the search shows for each word that the row could be found by."""
    words = [getattr(row, name, "") for name in ("name", "username", "phone", "address", "text")]
    words += [str(row), str(row.pk), getattr(row, "identifier", "")]
    pages = [
        somebody.asks(
            "get", f"{reverse('admin:search')}?extended=1&s={quote(str(word))}", shown=True
        )
        for word in dict.fromkeys(words)
        if word
    ]
    return "".join(page.content.decode() for page in pages)
