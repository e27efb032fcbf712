"""Doing a whole transaction again when it met somebody else's: what an operator asks for should not
end as an error page because a worker wrote about the same rows in that moment."""

from collections.abc import Callable
from time import sleep
from typing import Any, TypeVar

from django.contrib import messages
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from apps.core.trouble import Trouble, kind_of

TRIES = 5
# Seconds that a transaction may stand still.
HANGS_AFTER = 60
# Seconds before the second try; each further pause is twice as long.
PAUSE = 0.05
BUSY = (
    "Nothing was changed: workers were writing about the same rows all the time. "
    "Please try again in a moment."
)

Result = TypeVar("Result")


class Busy(Exception):
    """It met others each time. The message is a sentence for who asked for it."""


class Collided(Exception):
    """Somebody else has just changed what this transaction stands on: it has to begin anew."""


def patiently(work: Callable[[], Result]) -> Result:
    """What `work` returns, done in one transaction; it is done again, a few times, when it met the
    locks of others. Raises Busy when it met them each time, and whatever else `work` raises."""
    for attempt in range(TRIES):
        if attempt:
            sleep(PAUSE * 2 ** (attempt - 1))
        try:
            with transaction.atomic():
                return work()
        except Collided:
            continue
        except OperationalError as error:
            if kind_of(error) not in (Trouble.CONFLICT, Trouble.LOCKED):
                raise
    raise Busy(BUSY)


def connected(connection: Any, **kwargs: Any) -> None:
    """Whose process hangs in the middle of a transaction (its host lost its power, and PostgreSQL
    would notice after hours), loses it: what it has locked is there for others again. (Drains are
    told to be quicker still: engine/drain.py.)"""
    if connection.alias == "default" and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config(name, %s, false) FROM pg_settings"
                " WHERE name = 'idle_in_transaction_session_timeout' AND setting = '0'",
                [f"{HANGS_AFTER}s"],
            )


class SaysItIsBusy:
    """Middleware: a page whose work was Busy shows the sentence, and what it asked before."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, Busy):
            return None
        messages.error(request, str(error))
        return HttpResponseRedirect(request.get_full_path())
