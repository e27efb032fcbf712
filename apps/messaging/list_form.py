"""The form that puts addresses on a list: one or many, typed or pasted."""

import re
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.messaging import lists
from apps.messaging.models import Channel

MOST = 10_000
_SHOWN = 5
_BETWEEN = re.compile(r"[\n,;]+")


class EntriesForm(forms.ModelForm):  # type: ignore[type-arg]
    """`cleaned_data["entries"]` are the addresses on the chosen channel, or on all."""

    addresses = forms.CharField(
        label="Numbers or email addresses",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text="One in each line, or with commas between them. Numbers have their country code.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["channel"]
        field.required = False
        field.empty_label = "All channels"
        for name in ("channel", "list"):
            widget = self.fields[name].widget if name in self.fields else None
            for door in ("add", "change", "delete", "view"):
                if widget is not None:
                    setattr(widget, f"can_{door}_related", False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        typed = [one.strip() for one in _BETWEEN.split(cleaned.get("addresses") or "")]
        typed = list(dict.fromkeys(filter(None, typed)))
        if self.errors:
            return cleaned
        if len(typed) > MOST:
            raise forms.ValidationError(
                f"These are {len(typed):,} addresses: add up to {MOST:,} at once."
            )
        channel = cleaned.get("channel")
        channels = [channel] if channel else list(Channel.objects.all())
        if not channels:
            raise forms.ValidationError("There is no channel yet: add one first.")
        entries, errors = [], []
        for one in typed:
            try:
                entries += lists.entries_at(one, channels)
            except lists.BadAddress as error:
                errors.append(str(error))
        if errors:
            more = len(errors) - _SHOWN
            rest = [f"And {more:,} more can't be read."] if more > 0 else []
            self.add_error("addresses", [*errors[:_SHOWN], *rest])
        return {**cleaned, "entries": list(dict.fromkeys(entries))}


def told(entries: list[lists.Entry], added: set[lists.Entry]) -> str:
    """What became of them, for the operator."""
    there = list(dict.fromkeys(e.address for e in entries if e not in added))
    new = len({entry.address for entry in added})
    sentences = [f"{new:,} {'address was' if new == 1 else 'addresses were'} added."]
    if there:
        shown = ", ".join(there[:_SHOWN])
        more = f" and {len(there) - _SHOWN:,} more" if len(there) > _SHOWN else ""
        sentences.append(f"On the list already: {shown}{more}.")
    return " ".join(sentences)
