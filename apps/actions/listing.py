"""What the kinds about the blacklist and the opt-out lists have in common: whom they put on a list
or take off, and on which channels."""

from collections.abc import Callable, Collection
from typing import Any

from django.db import models

from apps.connectors.models import Action, Performing
from apps.connectors.outcomes import Done, Failed, Outcome, Skip
from apps.core.fields import TemplateField
from apps.messaging import lists
from apps.messaging.lists import Entry, Listed
from apps.messaging.models import Channel, OptOutList

ONE, ALL = "one", "all"


class OnChannels(Action):
    """A kind that lists an address on channels."""

    editor = ["channels", "channel", "address"]
    shows_when = {"channel": ("channels", [ONE])}

    channels = models.CharField(
        max_length=3,
        choices=[(ONE, "One channel"), (ALL, "All channels")],
        default=ONE,
        help_text="All channels: those that there are when the action runs. Numbers go with "
        "WhatsApp, email addresses with email.",
    )
    channel = models.ForeignKey(
        Channel, null=True, blank=True, on_delete=models.RESTRICT, related_name="+"
    )
    address = TemplateField(
        "number or email address",
        blank=True,
        help_text="Empty: those of the contact. A number has its country code.",
    )

    class Meta:
        abstract = True

    def summary(self) -> str:
        where = "all channels" if self.channels == ALL else str(self.channel or "")
        who = " ".join(self.address.split()) or "The contact"
        return f"{who} on {where}" if where else ""

    def problems(self) -> list[str]:
        chosen = self.channels == ALL or self.channel_id
        return [] if chosen else ["Choose a channel, or all channels."]

    def touches_shared(self) -> bool:
        """Runs of other contacts may name the same address."""
        return bool(self.address)

    def reached(self, run: Performing) -> "Reached | Skip | Failed":
        """Whom the action is about, while the run performs; else what becomes of the action."""
        found: list[Channel | None]
        if self.channels == ALL:
            found = run.once("channels", lambda: list(Channel.objects.all()))
        else:
            found = [run.ref(self, "channel")]
        channels = {channel.pk: channel for channel in found if channel is not None}
        if not channels:
            return Failed("There is no channel: choose one and publish.")
        try:
            if self.address.strip():
                typed = run.render("number or email address", self.address)
                return Reached(lists.entries_at(typed, channels.values()), channels)
            if run.contact is None:
                return Skip("No contact mapped")
            return Reached(lists.entries_of(run.contact, channels.values()), channels)
        except lists.BadAddress as error:
            return Failed(str(error))


class Reached:
    """Entries, and how notes spell them."""

    def __init__(self, entries: list[Entry], channels: dict[int, Channel]) -> None:
        self.entries = entries
        self._channels = channels

    def spell(self, entries: Collection[Entry]) -> str:
        """Like `+4915112345678 on Shop, Support`; empty for no entries."""
        where: dict[str, list[str]] = {}
        for entry in entries:
            where.setdefault(entry.address, []).append(str(self._channels[entry.channel_id]))
        return "; ".join(f"{who} on {', '.join(names)}" for who, names in where.items())

    def split(self, changed: Collection[Entry]) -> tuple[str, str]:
        """What was changed and what was not, spelled."""
        done = [entry for entry in self.entries if entry in changed]
        rest = [entry for entry in self.entries if entry not in changed]
        return self.spell(done), self.spell(rest)


def told(done: list[str], what: str, rest: list[str], already: str) -> Done:
    """One line: what happened, and what was so already."""
    parts = [f"{what}: {'; '.join(filter(None, done))}"] if any(done) else []
    parts += [f"{already}: {'; '.join(filter(None, rest))}"] if any(rest) else []
    return Done(". ".join(parts))


class OnLists(OnChannels):
    """A kind that puts an address on opt-out lists or takes it off; the lists are rows of its own
    table, the system's list when there are none."""

    row_sets = ["lists"]
    lists: Any  # the rows

    class Meta:
        abstract = True

    def summary(self) -> str:
        whom = super().summary()
        names = [str(row.list) for row in self.lists.all()] if self.pk else []
        return f"{whom}: {', '.join(names) or lists.SYSTEM_LIST}" if whom else ""

    def change(
        self,
        run: Performing,
        write: Callable[[list[OptOutList], list[Entry]], set[Listed]],
        what: str,
        already: str,
    ) -> Outcome:
        reached = self.reached(run)
        if not isinstance(reached, Reached):
            return reached
        chosen = [run.ref(row, "list") for row in run.rows(self, "lists")]
        chosen = chosen or [run.once("system list", lists.system_list)]
        run.went_in("lists", [one.name for one in chosen])
        changed = write(chosen, reached.entries)
        done: list[str] = []
        rest: list[str] = []
        for one in chosen:
            spelled = reached.split({row.entry for row in changed if row.list_id == one.pk})
            for side, text in zip((done, rest), spelled, strict=True):
                side.append(f"{text} ({one})" if text else "")
        return told(done, what, rest, already)


class ListRow(models.Model):
    """A list that is chosen for an action. RESTRICT: one in use can't be deleted unseen."""

    list = models.ForeignKey(
        OptOutList, verbose_name="opt-out list", on_delete=models.RESTRICT, related_name="+"
    )

    class Meta:
        abstract = True
        verbose_name = "opt-out list"

    def __str__(self) -> str:
        return str(self.list)
