"""What follows when an action fails: the choices, and the columns of every action for them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class OnError(models.TextChoices):
    CONTINUE = "continue", "Continue further steps"
    STOP = "stop", "Stop executing further steps"
    RETRY = "retry", "Retry"


RETRY_THEN = [choice for choice in OnError.choices if choice[0] != OnError.RETRY]
RETRY_WAITS = [
    (1, "1 second"),
    (5, "5 seconds"),
    (10, "10 seconds"),
    (30, "30 seconds"),
    (60, "1 minute"),
    (120, "2 minutes"),
    (300, "5 minutes"),
    (900, "15 minutes"),
    (1800, "30 minutes"),
    (3600, "1 hour"),
    (10800, "3 hours"),
    (21600, "6 hours"),
    (43200, "12 hours"),
    (86400, "1 day"),
]


class WhatOnError(models.Model):
    """The columns of *On error*."""

    on_error = models.CharField(max_length=10, choices=OnError, default=OnError.CONTINUE)
    # In force when on_error is *retry*.
    retry_times = models.PositiveSmallIntegerField(
        "number of retries",
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(20)],
        help_text="1 to 20, besides the first try.",
    )
    retry_wait = models.PositiveIntegerField(
        "first retry after",
        choices=RETRY_WAITS,
        default=60,
        help_text="Each further wait is twice as long, up to one day. A server that asks for more "
        "time gets it, up to 7 days.",
    )
    retry_then = models.CharField(
        "when all retries have failed",
        max_length=10,
        choices=RETRY_THEN,
        default=OnError.STOP,
    )

    class Meta:
        abstract = True
