"""What performing an action can come to. Frozen values that the engine interprets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from apps.core.http.messages import Failure, Request, Response

if TYPE_CHECKING:
    from apps.connectors.models import Performing


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


@dataclass(frozen=True)
class Call:
    """Ask the outside, and go on with what `then` makes of the answer (another Call, even).

    The engine commits the intent before the request leaves, and the outcome after it; it adds the
    `Idempotency-Key`, the same in each try of the same `part` of the action. After a crash the
    action is performed anew: when a request of it may have left, it is made again only if
    `repeatable`, else `then` gets a Failure that was `sent`. `shown` is the request as people may
    see it, without secrets. `waits`: over the account's limit it waits for a free slot, else
    `then` gets a Failure of the kind LIMITED. `secrets`: texts that are taken out of the answer
    before anybody sees it, since a server may echo what it was sent.
    """

    request: Request
    then: "Callable[[Performing, Response | Failure], Outcome]"
    shown: Mapping[str, Any]
    part: str = ""
    repeatable: bool = False
    waits: bool = False
    secrets: tuple[str, ...] = ()


# What the timeline tells; a call is told with what its answer came to.
Ended = Done | Skip | Wait | Stop | Failed
Outcome = Ended | Call
