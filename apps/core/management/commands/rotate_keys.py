"""manage.py rotate_keys: a new key for stored secrets, which are encrypted anew with it."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from apps.core.models import reseal_credentials
from apps.core.vault import VaultError


class Command(BaseCommand):
    help = (
        "Add a key and encrypt every credential with it. Where the keys come from "
        "SWITCHBOARD_VAULT_KEYS, encrypt with the newest of them. Safe while everything runs."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = self._newest_key()
            count = reseal_credentials()
        except FileNotFoundError:
            raise CommandError(f"There are no keys at {settings.DATA_DIR / 'keys.json'}.") from None
        except (VaultError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from None
        noun = "credential was" if count == 1 else "credentials were"
        self.stdout.write(
            f"Key {version} is in use; {count} {noun} encrypted anew. Older keys are kept: backups "
            "of the database need them. Back up the keys now."
        )

    def _newest_key(self) -> int:
        if settings.KEY_RING.from_environment():
            return max(settings.KEY_RING.keys())
        return int(settings.KEY_RING.add())
