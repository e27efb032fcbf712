"""What performing an action can come to. Frozen values that the engine interprets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final


class _Keep:
    """The run's contact stays who it is."""


KEEP: Final = _Keep()


@dataclass(frozen=True)
class Done:
    """It worked. `values` become readable under the action's key; `contact`, when given, is the
    run's contact from here on."""

    note: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    contact: Any = KEEP


@dataclass(frozen=True)
class Skip:
    """Nothing was done, and that is all right; `rest_of_step` goes on with the next step."""

    note: str
    values: Mapping[str, Any] = field(default_factory=dict)
    rest_of_step: bool = False


@dataclass(frozen=True)
class Wait:
    """The run sleeps until `until` (aware); `identifier` is what cancels it."""

    until: datetime
    identifier: str = ""
    note: str = ""


@dataclass(frozen=True)
class Stop:
    """The run ends here as *stopped*, on purpose."""

    note: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """It did not work; `note` is a sentence that an operator can act on. The action's *On error*
    decides what follows, unless `rest_of_step` says to go on with the next step.

    `retry_after`: the other side asked not to be called again sooner; a retry heeds it.
    `unknown`: nobody can say whether it worked. It is then never retried: that could do it twice.
    """

    note: str
    values: Mapping[str, Any] = field(default_factory=dict)
    rest_of_step: bool = False
    contact: Any = KEEP
    retry_after: timedelta | None = None
    unknown: bool = False


Outcome = Done | Skip | Wait | Stop | Failed
