"""Cron expressions of five fields, in the time of a place. Pure.

As in Debian's cron, when clocks change: an expression that names its hours (`30 2 * * *`) comes
once a day, at the first 02:30 where there are two, and right after the gap (03:00) where there is
none. One that goes by the minute or by `*` hours comes in even steps of real time.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

# Times that are counted at most: more than two months of every minute.
MOST = 100_000


def problem(cron: str) -> str:
    """Why this is no cron expression, as a sentence; empty when it is one."""
    fields = "minute, hour, day of month, month, day of week"
    if len(cron.split()) != 5:
        what = f"write five fields such as 0 9 * * 1-5 ({fields})."
        return f'"{cron}" is not a cron expression: {what}'
    try:
        next(_times(cron, ZoneInfo("UTC"), datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        place = str(error).removeprefix("Bad ").replace("-", " ")
        what = f"its {place} can't be right. Write five fields such as 0 9 * * 1-5 ({fields})."
        return f'"{cron}" is not a cron expression: {what}'
    except StopIteration:
        return f'"{cron}" never comes.'
    return ""


def explain(cron: str) -> str:
    """What a valid expression means in words: "At 09:00 on Monday through Friday"."""
    return CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)).explain()


def next_times(cron: str, zone: ZoneInfo, after: datetime, count: int) -> list[datetime]:
    """The next times of a valid expression, aware, in `zone`."""
    return list(islice(_times(cron, zone, after), count))


def passed(cron: str, zone: ZoneInfo, first: datetime, now: datetime) -> tuple[datetime, int]:
    """Of the times from `first` (one of them) until now the last one, and how many there were
    before it. Of more than MOST the last one counted."""
    last, before = first, 0
    for time in islice(_times(cron, zone, first), MOST):
        if time > now:
            break
        last, before = time, before + 1
    return last, before


def _times(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    return CronSim(cron, after.astimezone(zone))
