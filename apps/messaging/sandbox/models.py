from django.db import models


class PhoneMessage(models.Model):
    """A message as it stands on the sandbox phone. `key` is what a provider would call our
    reference; it is deliberately not unique, so that a double send would show."""

    channel = models.ForeignKey("messaging.Channel", on_delete=models.CASCADE, related_name="+")
    address = models.CharField(max_length=254)
    text = models.TextField()
    key = models.CharField(max_length=160, blank=True, db_index=True)
    arrived_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["address", "-id"], name="sandbox_phone_conversation")]

    def __str__(self) -> str:
        return f"{self.address}: {self.text[:40]}"
