"""What operators do meanwhile. Runs inside the installation, until it is told to stop:

python -m tests.chaos.world.moves SEED LOG

Each move is one line: {"at", "until", "move", "ids", "said", "sure"}. `sure` is false when its
connection was lost: nobody knows whether it was made.
"""

import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.db import DatabaseError, connection

from tests.chaos.world.logs import Log, now

BY = "an operator"
# Every move: ids that it is about, and what came of it. None: there was nothing to do.
Made = tuple[list[int], Any] | None
stopping = False


def cancel(chance: random.Random) -> Made:
    from apps.engine.cancel import cancel_runs
    from apps.engine.models import Run

    run = _one_of(chance, Run.objects.filter(state__in=Run.OPEN))
    return run and ([run.pk], cancel_runs([run.pk], f"Cancelled by {BY}"))


def again(chance: random.Random) -> Made:
    from apps.engine import again
    from apps.engine.models import Run

    run = _one_of(chance, Run.objects.filter(state__in=Run.ENDED))
    if run is None or again.refusals([run]):
        return None
    place = chance.choice(again.places(run.revision_id))
    return [run.pk], again.start(run, place, BY)


def merge(chance: random.Random) -> Made:
    from apps.crm import merging
    from apps.crm.models import Contact

    contacts = list(Contact.objects.values_list("pk", flat=True))
    if len(contacts) < 4:
        return None
    loser, survivor = chance.sample(contacts, 2)
    try:
        merging.merge(loser, survivor, BY)
    except merging.NotMergeable as why:
        return [loser, survivor], str(why)
    return [loser, survivor], True


def undo(chance: random.Random) -> Made:
    from apps.crm import merging
    from apps.crm.models import Merge

    merged = _one_of(chance, Merge.objects.filter(undone_at=None))
    if merged is None:
        return None
    try:
        merging.undo(merged.pk, BY)
    except merging.NotMergeable as why:
        return [merged.loser_id, merged.survivor_id], str(why)
    return [merged.loser_id, merged.survivor_id], True


def sweep(chance: random.Random) -> Made:
    """As another host would that happens to do so now."""
    from apps.engine.sweep import sweep

    return [], sweep()


MOVES: dict[Callable[[random.Random], Made], int] = {
    cancel: 3,
    again: 4,
    merge: 1,
    undo: 1,
    sweep: 3,
}


def _one_of(chance: random.Random, rows: Any) -> Any:
    """One of the newest rows."""
    pks = list(rows.order_by("-pk").values_list("pk", flat=True)[:60])
    return rows.model.objects.filter(pk=chance.choice(pks)).first() if pks else None


def make(move: Callable[[random.Random], Made], chance: random.Random, log: Log) -> None:
    line: dict[str, Any] = {"at": now(), "move": move.__name__, "sure": True, "ids": []}
    try:
        made = move(chance)
        if made is None:
            return
        line["ids"], line["said"] = made
    except DatabaseError as error:
        line |= {"sure": False, "said": str(error)[:200]}
        connection.close()
    log.write(**line, until=now())


def _stop(*args: Any) -> None:
    global stopping
    stopping = True


def main() -> None:
    signal.signal(signal.SIGTERM, _stop)
    chance, log = random.Random(int(sys.argv[1])), Log(Path(sys.argv[2]))
    while not stopping:
        move = chance.choices(list(MOVES), list(MOVES.values()))[0]
        make(move, chance, log)
        time.sleep(chance.uniform(0.2, 1.2))


if __name__ == "__main__":
    django.setup()
    main()
