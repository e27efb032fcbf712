"""What is due next, over all lanes."""

from datetime import datetime

from django.db.models import Min

from apps.core import jobs
from apps.engine import schedules
from apps.engine.models import Delay, Run
from apps.messaging.models import Message


def earliest_due() -> datetime | None:
    """When the next row of any lane wakes; five reads at the start of partial indexes."""
    times = [
        Run.earliest(),
        schedules.earliest(),
        Delay.objects.filter(state=Delay.State.WAITING).aggregate(at=Min("wake_at"))["at"],
        Message.objects.filter(state=Message.State.QUEUED, channel__enabled=True)
        .order_by("wake_at")
        .values_list("wake_at", flat=True)
        .first(),
        jobs.earliest(),
    ]
    return min((at for at in times if at is not None), default=None)
