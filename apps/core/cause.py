"""Why a row is there: two plain columns, so that every effect leads back to what caused it."""

from django.db import models


class Caused(models.Model):
    """A row that something caused. No foreign key: causes may be pruned, effects stay."""

    cause = models.CharField(max_length=16, blank=True, editable=False)
    cause_id = models.BigIntegerField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
