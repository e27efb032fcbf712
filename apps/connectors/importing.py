"""Importing the file of an export, and restoring a revision: both write into a draft, and publish
nothing. Raises NotImportable with one sentence, and then nothing was changed."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.connectors import draft, registry
from apps.connectors.completing import completed
from apps.connectors.frozen import Document, freeze
from apps.connectors.models import Connector, Revision
from apps.connectors.publish import has_unpublished_changes, is_unchanged_again
from apps.connectors.reading import SETTINGS, NotImportable, read
from apps.connectors.references import by_name, left_out, not_found
from apps.connectors.writing import write_columns, write_draft
from apps.core.models import Credential


@dataclass(frozen=True)
class Imported:
    """`unresolved` has one sentence for each thing that the file names and that is not here, and
    `of_settings` those of them that are about the settings; None where the settings stayed."""

    connector: Connector
    unresolved: list[str]
    of_settings: list[str] | None = None


def import_new(raw: bytes, name: str = "", may_use_credentials: bool = True) -> Imported:
    """A new connector with the draft and the settings of the file; never published. Credentials are
    left out where whoever imports it may not use them."""
    document = read(raw)
    name = " ".join((name or document["connector"]["name"]).split())
    if Connector.objects.filter(name=name).exists():
        raise NotImportable(
            f'A connector called "{name}" exists already: import it under another name or replace '
            "the draft of that one."
        )
    with transaction.atomic():
        connector = Connector(name=name)
        if not Connector.objects.filter(uid=document["connector"]["uid"]).exists():
            connector.uid = document["connector"]["uid"]
        of_settings = _write_settings(connector, document["settings"], may_use_credentials)
        of_actions = write_draft(connector, document, None if may_use_credentials else ())
        draft.bump(connector.pk)
    connector.refresh_from_db()
    return Imported(connector, [*of_settings, *of_actions], of_settings)


def _write_settings(connector: Connector, frozen: Document, may_use_credentials: bool) -> list[str]:
    values = {name: frozen[name] for name in SETTINGS if name in frozen}
    ref: Document | None = frozen.get("credential")
    credential = _credential(ref) if ref and may_use_credentials else None
    write_columns(connector, {**values, "name": connector.name}, {"credential": credential})
    if ref is None or credential is not None:
        return []
    if not may_use_credentials:
        return [left_out(ref)]
    return [not_found(Connector._meta.get_field("credential"), ref)]


def _credential(ref: Document) -> Any:
    """By its name, never by its id: a file must not reach for another secret."""
    found: Any = by_name(Credential.objects.all(), ref["name"])
    return found if found is not None and ref.get("kind", found.kind) == found.kind else None


def import_into(connector: Connector, raw: bytes, may_use_credentials: bool = True) -> Imported:
    """Replace the draft of `connector`. Its name and what is in force at once stay as they are."""
    return Imported(connector, _replace(connector, read(raw), None if may_use_credentials else ()))


def restore(
    connector: Connector, revision: Revision, version: int, may_use_credentials: bool = True
) -> list[str]:
    """Make the draft what `revision` was; returns one sentence for each thing that it names and
    that is gone. Who may not use credentials gets none that is not in use here already. Raises
    StaleDraft when the draft is not at `version` any more."""
    with transaction.atomic():
        draft.claim(connector, version)
        usable = None if may_use_credentials else used_credentials(connector)
        return _replace(connector, completed(revision.document), usable)


def used_credentials(connector: Connector) -> set[int]:
    """The ids of the credentials that stand in its draft, or in what events run on."""
    published = connector.published
    documents = [freeze(connector), *([published.document] if published else [])]
    return {
        ref["id"]
        for document in documents
        for step in document["steps"]
        for action in step["actions"]
        for name, ref in action.get("refs", {}).items()
        if ref and _is_credential(action["kind"], name)
    }


def _is_credential(slug: str, name: str) -> bool:
    kind = registry.kinds().get(slug)
    return kind is not None and kind._meta.get_field(name).related_model is Credential


@transaction.atomic
def _replace(
    connector: Connector, document: Document, usable: Collection[int] | None = None
) -> list[str]:
    draft.bump(connector.pk)  # also the lock that serialises edits
    connector.refresh_from_db()
    unresolved = write_draft(connector, document, usable)
    if not has_unpublished_changes(connector):
        is_unchanged_again(connector)
    return unresolved
