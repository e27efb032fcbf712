"""Importing under review: a file is imported, what came of it is looked at, and it is kept only if
that is accepted. So a review tells what would be here, cleaned by the forms and with what its
references lead to here; not what a file says of itself."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from django.db import transaction

from apps.connectors import registry
from apps.connectors.frozen import freeze
from apps.connectors.importing import Imported
from apps.connectors.models import Action, Connector, ResponseType
from apps.connectors.reach import CHANNEL, CONNECTOR, CREDENTIAL, RECIPIENT, URL, Reach
from apps.core.models import Credential

# In this order in the line that sums a review up.
SORTS = (URL, RECIPIENT, CHANNEL, CREDENTIAL, CONNECTOR)
# Checks of who posts that also look at a timestamp.
TIMED = (Connector.Auth.STRIPE, Connector.Auth.STANDARD)
# Categories of characters that nobody sees, or that turn round what stands behind them.
UNSEEN = {"Cc", "Cf", "Co", "Mn", "Zl", "Zp"}
# Letters and signs that look like blanks.
BLANK = "\u115f\u1160\u2800\u3164\uffa0"


@dataclass(frozen=True)
class Reaching:
    """An action that reaches something, or lacks something that it names (`unresolved`)."""

    step: str
    action: str
    kind: str
    enabled: bool
    reaches: tuple[Reach, ...]
    unresolved: tuple[str, ...]


@dataclass(frozen=True)
class Review:
    """`settings`, by name, are in force as soon as the connector is here, and `unresolved` is what
    they lack; both are empty where a draft is replaced. A `response` is empty where none is mapped.
    """

    name: str
    places: tuple[Reaching, ...]
    response: str
    response_type: str
    settings: tuple[tuple[str, str], ...]
    unresolved: tuple[str, ...]

    @property
    def reaches_nothing(self) -> bool:
        return not any(place.reaches for place in self.places)

    @property
    def open_places(self) -> int:
        return sum(bool(place.unresolved) for place in self.places)

    @property
    def in_all(self) -> list[tuple[str, int]]:
        """How many different things of each sort are reached; only of sorts that are. In words for
        the midst of a sentence."""
        told = {(each.what, each.text) for place in self.places for each in place.reaches}
        counted = Counter(what for what, _ in told)
        present = [what for what in SORTS if counted[what]]
        return [(what if what == URL else what.lower(), counted[what]) for what in present]


def import_if(
    accepts: Callable[[Review], bool], write: Callable[[], Imported]
) -> tuple[Review, Imported | None]:
    """What `write` imports, kept only if `accepts` says so of its review: else None, and nothing
    was written. Raises NotImportable."""
    with transaction.atomic():
        imported = write()
        review = review_of(imported)
        accepted = accepts(review)
        if not accepted:
            transaction.set_rollback(True)
    return review, imported if accepted else None


def review_of(imported: Imported) -> Review:
    connector = imported.connector
    kind = ResponseType(connector.response_type)
    return Review(
        name=connector.name,
        places=tuple(_places(connector)),
        response=connector.response_body,
        response_type=str(kind.label),
        settings=() if imported.of_settings is None else tuple(_settings(connector)),
        unresolved=tuple(imported.of_settings or ()),
    )


# --- actions --------------------------------------------------------------------------------------


def _places(connector: Connector) -> Iterator[Reaching]:
    actions = Action.objects.filter(step__connector=connector)
    lacking = {str(uid): texts for uid, texts in actions.values_list("uid", "unresolved")}
    credentials = _kinds_of_credentials()
    for step in freeze(connector)["steps"]:
        for action in step["actions"]:
            kind = registry.kind_of(action["kind"])
            reaches = kind.reaches(action["config"], action.get("refs", {}), action.get("rows", {}))
            unresolved = lacking[action["uid"]]
            if reaches or unresolved:
                yield Reaching(
                    step=step["name"],
                    action=action["label"] or kind.title,
                    kind=kind.title,
                    enabled=action["enabled"],
                    reaches=tuple(_told(each, connector, credentials) for each in reaches),
                    unresolved=tuple(unresolved),
                )


def _kinds_of_credentials() -> dict[str, str]:
    return {each.name: each.get_kind_display() for each in Credential.objects.all()}


def _told(each: Reach, connector: Connector, credentials: dict[str, str]) -> Reach:
    """As people may be shown it: with what a credential is, and with nothing hidden in the text."""
    notes = [each.note]
    if each.what == CREDENTIAL:
        notes.insert(0, credentials.get(each.text, ""))
    if each.what == CONNECTOR and each.text == connector.name:
        notes.insert(0, "this connector itself")
    return replace(each, text=_seen(each.text), note=", ".join(filter(None, notes)))


def _seen(text: str) -> str:
    """With a name in place of each character that can't be seen: what is written must not look like
    something else."""
    return "".join(
        f"[U+{ord(letter):04X}]"
        if (unicodedata.category(letter) in UNSEEN or letter in BLANK) and letter not in "\n\t"
        else letter
        for letter in text
    )


# --- settings -------------------------------------------------------------------------------------


def _settings(connector: Connector) -> Iterator[tuple[str, str]]:
    yield "Who posts must show", connector.get_auth_display()
    if connector.auth != Connector.Auth.NONE:
        yield from _check_of_posts(connector)
    kept = "Kept from what is posted, until it is first published"
    yield "Sample events", kept if connector.capture else "Not kept"
    rate = connector.inbound_per_minute
    yield "Events a minute", f"Up to {rate:,}" if rate else "Up to the installation's limit"


def _check_of_posts(connector: Connector) -> Iterator[tuple[str, str]]:
    if connector.auth_header:
        yield "Header", connector.auth_header
    credential = connector.credential
    if credential is None:
        yield "Credential", "None: every post is refused until one is chosen in the settings"
    else:
        yield "Credential", f"{credential.name} ({credential.get_kind_display()})"
    if connector.auth in TIMED:
        yield "Tolerance", f"{connector.auth_tolerance:,} seconds"
