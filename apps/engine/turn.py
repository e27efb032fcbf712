"""Taking turns: claim a batch of due runs, go on with those whose calls were answered, and advance
them in groups until none is left in hand."""

from collections.abc import Iterable

from apps.engine import calls, mending
from apps.engine.calls import Flight
from apps.engine.claims import MAX_ATTEMPTS, claim_batch, claim_suspect
from apps.engine.group import Claim, landed
from apps.engine.models import Run

# How many runs a turn gets through in its time; found out by doing (see _adapt).
_reach = 20
MOST = 200


def take_turn(runs: bool = True, suspects: bool = True) -> int:
    """Go on with the runs whose calls were answered; with `runs`, also claim and advance one batch
    and, with `suspects`, one of these by itself. Returns how many runs were taken. Raises
    mending.InTrouble, with nothing lost, when the installation refuses to work."""
    exchange = calls.exchange()
    answered = exchange.answers()
    # Those that came back may call again, so their lines are not free.
    room = exchange.room
    suspect: list[Run] = []
    if suspects and room > 1:
        suspect = claim_suspect()
        if suspect and suspect[0].attempts > MAX_ATTEMPTS:
            mending.give_up(suspect[0])
        else:
            work_off(suspect)
    batch: list[Run] = []
    if runs and room > 1:
        batch = claim_batch(min(_reach, room - 1), exchange.crowded())
    work_off(batch, answered)
    return len(batch) + len(suspect) + len(answered)


def work_off(runs: Iterable[Run], flights: Iterable[Flight] = ()) -> None:
    """Advance all of these runs, in as many turns as it takes; none stays leased but for a call."""
    claims = [*map(landed, flights), *map(Claim, runs)]
    while claims:
        left = mending.take(claims)
        _adapt(len(claims), len(left))
        claims = left


def _adapt(taken: int, left: int) -> None:
    """Claim next what one turn can do: every run in hand costs in each turn that it waits for, and
    is a suspect if the worker dies."""
    global _reach
    if left:
        _reach = max(taken - left, 1)
    elif taken >= _reach:
        _reach = min(_reach * 2, MOST)
