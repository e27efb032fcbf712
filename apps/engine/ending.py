"""Ending very many runs: a long job, so that nobody else waits for it (cancel.py)."""

from django.db import models

from apps.core.jobs import Job, long_job


@long_job
class Ending(Job):
    """Runs of one connector that are being cancelled, slice by slice."""

    class Which(models.TextChoices):
        OPEN = "open", "All that have not ended"
        # Those alone that slept when it was asked for.
        WAITING = "waiting", "Those that waited"

    # The connector may be gone, so its name is kept.
    connector_id = models.BigIntegerField(editable=False)
    connector_name = models.CharField(max_length=200, editable=False)
    which = models.CharField(max_length=10, choices=Which, editable=False)
    # What the runs say about why they ended.
    reason = models.CharField(max_length=300, editable=False)
    # No run is left that was held behind another one when it was asked for.
    held_ended = models.BooleanField(default=False, editable=False)

    class Meta(Job.Meta):
        verbose_name = "cancellation"

    def __str__(self) -> str:
        return f"Runs of {self.connector_name}"

    def slice(self) -> bool:
        from apps.engine import cancel  # it stands on these models

        return cancel.end_slice(self)
