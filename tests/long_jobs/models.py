from django.db import OperationalError, models
from psycopg.errors import DeadlockDetected

from apps.core.jobs import Again, Job, JobFailed, long_job


class Written(models.Model):
    """What a Counting has done: one row for each number, twice if it was done twice."""

    job = models.BigIntegerField()
    number = models.IntegerField()


@long_job
class Counting(Job):
    """Writes the numbers from 1 to `total`, `step` of them in a slice; trouble comes when the
    number `trouble_at` is due."""

    step = models.IntegerField(default=10)
    trouble_at = models.IntegerField(default=0)
    trouble = models.CharField(max_length=20, blank=True)

    def slice(self) -> bool:
        following = range(self.done + 1, min(self.done + self.step, self.total) + 1)
        for number in following:
            Written.objects.create(job=self.pk, number=number)
            if number == self.trouble_at:
                self.make_trouble()
        self.done += len(following)
        return self.done >= self.total

    def make_trouble(self) -> None:
        if self.trouble == "data":
            raise JobFailed("Number 15 can't be written.")
        if self.trouble == "once" and self.tries == 1:
            raise RuntimeError("the line was cut")
        if self.trouble == "always":
            raise RuntimeError("the line was cut")
        if self.trouble == "deadlock":
            raise OperationalError from DeadlockDetected("deadlock detected")
        if self.trouble == "again" and self.tries == 1:
            raise Again
