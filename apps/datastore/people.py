"""What becomes of a contact's counters when contacts are merged, and when one is erased."""

from typing import Any

from apps.crm.erasing import Leaving, eraser
from apps.crm.merging import merged_too
from apps.crm.models import Contact
from apps.datastore.models import CounterValue


def give(loser: Contact, survivor: Contact) -> dict[str, list[Any]]:
    """The survivor's own values stay, and those of the loser with them, to be there again when the
    merge is undone. Returns {row id: [counter's name, value, changed_at]}."""
    has = CounterValue.objects.filter(contact=survivor).values_list("counter", flat=True)
    lacking = CounterValue.objects.filter(contact=loser).exclude(counter__in=list(has))
    moved = list(lacking.select_related("counter"))
    CounterValue.objects.filter(pk__in=[row.pk for row in moved]).update(contact=survivor)
    return {str(row.pk): [str(row.counter), *_state(row)] for row in moved}


def take_back(given: dict[str, list[Any]], loser_id: int, survivor_id: int) -> list[str]:
    there = CounterValue.objects.filter(pk__in=map(int, given), contact=survivor_id)
    states = {str(row.pk): _state(row) for row in there}
    same = [pk for pk, (_, *state) in given.items() if states.get(pk) == state]
    CounterValue.objects.filter(pk__in=map(int, same)).update(contact=loser_id)
    changed = [name for pk, (name, *_) in given.items() if pk not in same]
    return [f'The counter "{name}" was changed since and stays as it is.' for name in changed]


def _state(row: CounterValue) -> list[Any]:
    return [row.value, row.changed_at.isoformat()]


merged_too("counters", give, take_back)


@eraser
def erase_values(leaving: Leaving, limit: int) -> int:
    found = CounterValue.objects.filter(contact__in=leaving.ids).values_list("pk", flat=True)
    return CounterValue.objects.filter(pk__in=list(found[:limit])).delete()[0]
