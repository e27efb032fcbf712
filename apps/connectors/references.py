"""Finding the rows that a document names: by id at home, by name elsewhere."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist, ValidationError
from django.db import models

from apps.connectors.frozen import Document
from apps.connectors.models import Connector
from apps.core.models import Credential, Installation


class References:
    """Resolves the references of one document for the connector that it is written into."""

    def __init__(
        self, document: Document, connector: Connector, usable: Collection[int] | None = None
    ) -> None:
        """`usable`: the ids of the credentials that may be used; None: all of them."""
        self.is_home = document["installation"] == str(Installation.current().uid)
        self.own_name = document["connector"]["name"]
        self.connector = connector
        self.usable = usable

    def find(self, field: Any, ref: Document | None) -> models.Model | None:
        """The row that a foreign key is to point at; None when there is no such row. A connector
        that names itself goes on naming itself, also as a copy."""
        if ref is None:
            return None
        if field.related_model is Connector and ref["name"] == self.own_name:
            return self.connector
        rows = field.related_model._default_manager.complex_filter(field.get_limit_choices_to())
        by_id = _by_id(rows, ref.get("id")) if self.is_home else None
        found = by_id or by_name(rows, ref["name"])
        if found is not None and field.related_model is Credential and self.usable is not None:
            return found if found.pk in self.usable else None
        return found

    def why_not(self, field: Any, ref: Document, lost: str = "") -> str:
        """One sentence about a reference that was not found; `lost` is what goes with one that its
        row can't be without."""
        withheld = field.related_model is Credential and self.usable is not None
        return left_out(ref, lost) if withheld else not_found(field, ref, lost)


def not_found(field: Any, ref: Document, lost: str = "") -> str:
    what = str(field.related_model._meta.verbose_name).capitalize()
    also = f" ({lost})" if lost else ""
    return f'{what} "{ref["name"]}"{also} does not exist here: create it or choose another one.'


def left_out(ref: Document, lost: str = "") -> str:
    """The same words whether there is such a credential or not: who may not use them doesn't learn
    which there are."""
    also = f" ({lost})" if lost else ""
    left_out = f'Credential "{ref["name"]}"{also} was left out'
    return f"{left_out}: whoever imported it may not use credentials."


def _by_id(rows: "models.QuerySet[Any]", pk: Any) -> models.Model | None:
    if type(pk) not in (int, str):
        return None
    try:
        return rows.filter(pk=pk).first()
    except (ValueError, OverflowError, ValidationError):
        return None


def by_name(rows: "models.QuerySet[Any]", name: str) -> models.Model | None:
    """The row of that name, by the manager's natural key where it has one. Where only one is
    spelled with other capitals, it is that one."""
    manager = rows.model._default_manager
    if hasattr(manager, "get_by_natural_key"):
        try:
            found = manager.get_by_natural_key(name)
        except (ObjectDoesNotExist, TypeError, ValueError):
            return None
        return rows.filter(pk=found.pk).first()
    try:
        rows.model._meta.get_field("name")
    except FieldDoesNotExist:
        return None
    for lookup in ("name", "name__iexact"):
        found = list(rows.filter(**{lookup: name})[:2])
        if found:
            return found[0] if len(found) == 1 else None
    return None
