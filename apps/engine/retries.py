"""*On error*: retry. A failed action is tried again after a wait, twice as long each time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from apps.connectors.models import Action
from apps.connectors.on_error import OnError
from apps.connectors.outcomes import Ended, Failed
from apps.core import clock
from apps.core.readable import moment
from apps.engine.models import Run
from apps.engine.plan import Item

LONGEST_WAIT = timedelta(days=1)
LONGEST_ASKED = timedelta(days=7)
# Of what failed, so that the note has room for what comes next.
_LONGEST_REASON = 400


@dataclass(frozen=True)
class Retry:
    """What the engine makes of a failure that is tried again: the run sleeps until `until` and
    stays at the same action. Nothing else of the failure takes effect."""

    note: str
    label: str
    until: datetime
    values: Mapping[str, Any]


def or_retry(outcome: Ended, item: Item, run: Run) -> Ended | Retry:
    """The outcome itself or, when its action is to be retried, the retry. The note of a failure
    that is retried no more says why."""
    action = item.action
    if action is None or action.on_error != OnError.RETRY:
        return outcome
    if not isinstance(outcome, Failed) or outcome.rest_of_step:
        return outcome
    if outcome.unknown:
        return _final(outcome, "Whether it worked is unknown, so it is not retried.")
    if run.tries >= action.retry_times:
        count = "The retry has" if run.tries == 1 else f"All {run.tries} retries have"
        return _final(outcome, f"{count} failed.")
    number = run.tries + 1
    until = clock.now() + wait_before(number, action.retry_wait, outcome.retry_after)
    which = f"Retry {number} of {action.retry_times}"
    note = f"{_sentence(outcome)} {which} follows at {moment(until)}."
    return Retry(note, f"{which}: {item.label}", until, outcome.values)


def wait_before(number: int, first: int, asked: timedelta | None) -> timedelta:
    """How long retry `number` (from 1) waits, when the first one waits `first` seconds and the
    other side `asked` for some time."""
    times: int = 2 ** (number - 1)
    own = min(timedelta(seconds=first) * times, LONGEST_WAIT)
    return max(own, min(asked, LONGEST_ASKED)) if asked else own


def ends_run(failed: Failed, action: Action) -> bool:
    """Whether a failure that is not retried (any more) ends the run."""
    if action.on_error == OnError.RETRY:
        return failed.unknown or action.retry_then == OnError.STOP
    return action.on_error == OnError.STOP


def _final(failed: Failed, why: str) -> Failed:
    return replace(failed, note=f"{_sentence(failed)} {why}")


def _sentence(failed: Failed) -> str:
    return failed.note[:_LONGEST_REASON].rstrip(". ") + "."
