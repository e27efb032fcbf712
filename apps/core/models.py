"""The installation that this database belongs to, and the secrets that it keeps."""

import hashlib
import uuid
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction

from apps.core import clock, vault
from apps.core.first_password import FirstPassword
from apps.core.http import places
from apps.core.http.places import Place
from apps.core.transfer.files import FilePiece, RefusedRow, SeenKey, StoredFile

__all__ = [
    "Credential",
    "FilePiece",
    "FirstPassword",
    "Installation",
    "Notice",
    "RefusedRow",
    "SeenKey",
    "StoredFile",
]


def keys_fingerprint() -> str:
    """Tells whether two processes hold the same keys, without telling the keys."""
    return hashlib.sha256(b"switchboard:" + settings.SECRET_KEY.encode()).hexdigest()[:16]


class Installation(models.Model):
    """Made by the first set-up. `uid` goes into frozen plans and exports: it tells home from
    elsewhere. `keys` is the fingerprint of the keys that the database was set up with.
    `clock_stepped`: by how many seconds in all the database's clock was put on or (below nought)
    back under the workers, as far as leases and waits were put right (engine/clock_steps.py)."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    keys = models.CharField(max_length=16, default=keys_fingerprint, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    clock_stepped = models.FloatField(default=0.0, db_default=0.0, editable=False)

    @classmethod
    def current(cls) -> Self:
        return cls.objects.get_or_create(pk=1)[0]


class Credential(models.Model):
    """A secret under a name. Connectors and actions refer to it; its value is written, used and
    replaced, but never shown again. Frozen plans and exports hold its name alone."""

    class Kind(models.TextChoices):
        SECRET = "secret", "Signing secret"
        KEY = "key", "Key or token"
        BASIC = "basic", "User name and password"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.SECRET)
    username = models.CharField(
        "user name", max_length=200, blank=True, help_text="For a user name and password."
    )
    hosts = models.TextField(
        blank=True,
        help_text="Where HTTP API actions may send it, one host a line, such as api.shop.example, "
        "api.shop.example:8443 or *.shop.example. It goes there by https; plain http needs "
        "http://printer.lan. With *. make sure that all names below are yours. A secret that only "
        "senders of events use needs none.",
    )
    sealed = models.TextField(editable=False)
    key_version = models.IntegerField(editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    secret_set_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Whoever listens to a saved credential is heard in the same transaction."""
        with transaction.atomic():
            super().save(*args, **kwargs)

    def set_secret(self, text: str) -> None:
        """Encrypt `text` into the columns, which are then to be saved."""
        self.sealed, self.key_version = vault.seal(text)
        self.secret_set_at = clock.now()

    def clean(self) -> None:
        try:
            self.hosts = "\n".join(str(place) for place in places.read(self.hosts))
        except ValueError as error:
            raise ValidationError({"hosts": str(error)}) from None

    def places(self) -> tuple[Place, ...]:
        """Where it may go; nowhere when the list can't be read."""
        try:
            return places.read(self.hosts)
        except ValueError:
            return ()

    def allow(self, place: Place) -> None:
        """Let it go there from now on; to be saved."""
        self.hosts = "\n".join(str(one) for one in dict.fromkeys((*self.places(), place)))

    def reveal(self) -> str:
        """The secret, to be used at once and kept nowhere. Raises VaultError."""
        return vault.unseal(self.sealed, self.key_version)


class Notice(models.Model):
    """Trouble of the installation, in a sentence for those who run it: one row for a stretch of it
    (notices.py)."""

    text = models.CharField("what is wrong", max_length=300)
    first_at = models.DateTimeField("since", default=clock.now)
    last_at = models.DateTimeField("last seen", default=clock.now, db_index=True)
    times = models.IntegerField("seen", default=1)

    class Meta:
        ordering = ["-last_at"]

    def __str__(self) -> str:
        return self.text


def reseal_credentials() -> int:
    """Encrypt with the newest key what an older one encrypted; returns how many there were.
    Whole or not at all: a secret that can't be read leaves every other one as it is."""
    newest = max(settings.KEY_RING.keys(), default=0)
    with transaction.atomic():
        older = list(Credential.objects.select_for_update().exclude(key_version=newest))
        for credential in older:
            sealed, version = vault.seal(credential.reveal())
            Credential.objects.filter(pk=credential.pk).update(sealed=sealed, key_version=version)
    return len(older)
