"""What a kind sees of the run that it performs in (the `Performing` of connectors)."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from django.utils import timezone

from apps.connectors.frozen import FrozenRow, frozen_ref, frozen_rows
from apps.connectors.models import Action, Shared
from apps.core import clock, liquid
from apps.crm import attributes
from apps.crm.models import Contact
from apps.datastore import counters
from apps.engine.calls import Flight
from apps.engine.models import Event, Run
from apps.engine.plan import Plan
from apps.messaging import outbox
from apps.messaging.models import Channel
from apps.messaging.outbox import Queued


class Vanished(LookupError):
    """Something that the frozen plan refers to was deleted; the text says what."""


def contact_scope(contact: Contact | None) -> dict[str, Any]:
    """The contact as attributes; empty without one."""
    if contact is None:
        return {}
    return {
        "id": contact.pk,
        "name": contact.name,
        "phone": contact.phone or "",
        "mobile_number": contact.phone or "",
        "email": contact.email,
        "timezone": contact.timezone,
        "country": contact.country,
        "created_at": _local(contact.created_at),
        "last_interaction_at": _local(contact.last_interaction_at),
    }


def _local(value: datetime | None) -> str:
    return value.astimezone(timezone.get_default_timezone()).isoformat() if value else ""


def readable(value: Any) -> Any:
    """A kept value as texts and events have it: dates are ISO 8601."""
    if isinstance(value, datetime):
        return _local(value)
    return value.isoformat() if isinstance(value, date) else value


def event_scope(event: Event) -> dict[str, Any]:
    """The attributes that are there before any step has run."""
    payload = event.payload
    variables = event.query or {}
    if variables and "custom_variables" not in payload:
        payload = {**payload, "custom_variables": variables}
    return {"event": payload, "custom_variables": variables, "now": _local(clock.now())}


class AttributeBook:
    """The attributes of a turn's contacts: read when the first one is asked for, then for all of
    the contacts that the turn began with, in one query."""

    def __init__(self, contact_ids: Iterable[int] = ()) -> None:
        self._expected = set(contact_ids)
        self._values: dict[int, dict[str, Any]] = {}

    def of(self, contact_id: int) -> dict[str, Any]:
        if contact_id not in self._values:
            self._values.update(attributes.values_of({contact_id} | self._expected))
            self._expected = set()
        return self._values[contact_id]

    def forget(self, contact_id: int) -> None:
        """Read the contact's values anew when they are asked for again: some were written."""
        self._values.pop(contact_id, None)


class AttributeScope(Mapping[str, Any]):
    """`attr` in texts: the attributes of one contact, none without a contact."""

    def __init__(self, book: AttributeBook, contact: Contact | None) -> None:
        self._book, self._contact = book, contact

    def _values(self) -> dict[str, Any]:
        return self._book.of(self._contact.pk) if self._contact else {}

    def __getitem__(self, key: str) -> Any:
        return readable(self._values()[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())


class CounterScope(Mapping[str, Any]):
    """`counters` in texts: where each counter stands when it is asked for, which other runs of the
    turn may have changed; those of contacts only with a contact."""

    def __init__(self, contact: Contact | None) -> None:
        self._contact = contact

    def __getitem__(self, key: str) -> int:
        return counters.values_by_key([key], self._contact)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(counters.values_by_key(None, self._contact))

    def __len__(self) -> int:
        return len(counters.values_by_key(None, self._contact))


class RunContext:
    """One run in hand: its rows, its attributes, and what the current action takes in."""

    def __init__(
        self,
        run: Run,
        event: Event,
        plan: Plan,
        contact: Contact | None,
        refs: dict[Any, Any],
        book: AttributeBook | None = None,
    ) -> None:
        self.run = run
        self.event = event
        self.plan = plan
        self.passage = run.passage
        self.received_at = event.received_at
        self._refs = refs
        self._contact = contact
        self._book = book or AttributeBook()
        self.scope: dict[str, Any] = {
            **event_scope(event),
            **run.values,
            "contact": contact_scope(contact),
            "attr": AttributeScope(self._book, contact),
            "counters": CounterScope(contact),
            "connector": plan.connector,
        }
        self.begin(None)

    def begin(self, action: Action | None, flight: Flight | None = None) -> None:
        """Start the record of the next action, or take it up again where its call left it."""
        self.action = action
        self.found_contact_id = self._contact.pk if self._contact else None
        self.inputs: dict[str, Any] = dict(flight.inputs) if flight else {}
        self.missing: list[str] = list(flight.missing) if flight else []

    # --- what kinds may use ---------------------------------------------------------------------

    @property
    def contact(self) -> Contact | None:
        return self._contact

    @property
    def now(self) -> datetime:
        return clock.now()

    @property
    def last_executed_at(self) -> datetime:
        return self.run.last_executed_at or self.run.started_at

    @property
    def cause(self) -> dict[str, Any]:
        return {"cause": "run", "cause_id": self.run.pk}

    @property
    def key(self) -> str:
        uid = self.action.uid if self.action else "mapping"
        return f"run:{self.run.pk}:{self.passage}:{uid}"

    def render(self, name: str, text: str, place: str = "plain") -> str:
        rendered = liquid.render(text, self.scope, place, self.missing)
        self.inputs[name] = rendered
        return rendered

    def render_json(self, name: str, value: Any) -> Any:
        rendered = liquid.render_json(value, self.scope, self.missing)
        self.inputs[name] = rendered
        return rendered

    def value(self, path: str) -> Any:
        return liquid.evaluate(path, self.scope, self.missing)

    def went_in(self, name: str, value: Any) -> None:
        self.inputs[name] = value

    def ref(self, action: Action | FrozenRow, name: str) -> Any:
        model, frozen = frozen_ref(action, name)
        if frozen is None:
            return None
        key = (model, frozen["id"])
        if key not in self._refs:
            self._refs[key] = model._default_manager.filter(pk=frozen["id"]).first()
        row = self._refs[key]
        if row is None:
            kind = str(model._meta.verbose_name).capitalize()
            raise Vanished(f'{kind} "{frozen["name"]}" was deleted')
        return row

    def rows(self, action: Action, name: str) -> list[FrozenRow]:
        return frozen_rows(action, name)

    def once(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        # Beside the rows that `ref` read: no key of theirs is of this form.
        place = ("once", key)
        if place not in self._refs:
            self._refs[place] = make()
        made: Shared = self._refs[place]
        return made

    def send(self, channel: Channel, recipients: list[str], text: str) -> list[Queued]:
        return outbox.queue(
            channel,
            recipients,
            text,
            key=self.key,
            contact=self._contact,
            again=self.run.tries > 0,
            **self.cause,
        )

    # --- what the engine changes ----------------------------------------------------------------

    def set_contact(self, contact: Contact | None) -> None:
        """Another contact, or the same one after something of it was written."""
        self._contact = contact
        if contact is not None:
            self._book.forget(contact.pk)
        self.scope["attr"] = AttributeScope(self._book, contact)
        self.scope["counters"] = CounterScope(contact)
        self.run.contact_id = contact.pk if contact else None
        self.scope["contact"] = contact_scope(contact)

    def give(self, family: str, key: str, values: dict[str, Any]) -> None:
        """Make an action's values readable as {{ family.key.… }} from here on."""
        family_values = {**self.run.values.get(family, {}), key: values}
        self.run.values = {**self.run.values, family: family_values}
        self.scope[family] = family_values
