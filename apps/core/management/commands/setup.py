"""manage.py setup: keys, tables, first owner. Safe to run again, for example after an upgrade."""

import secrets
import sys
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.models import Installation, keys_fingerprint


class Command(BaseCommand):
    help = "Make or update this installation: its keys, its tables, its first owner."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--owner", default="owner", help="login of the first owner")
        parser.add_argument(
            "--password",
            default="",
            help="the first owner's password; made up when empty",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        self._check_keys()
        call_command("collectstatic", interactive=False, verbosity=0)
        self._first_owner(options["owner"], options["password"])

    def _check_keys(self) -> None:
        installation = Installation.current()
        if installation.keys != keys_fingerprint():
            raise CommandError(
                "This database was set up with other keys. Put the keys.json that belongs to it "
                f"in the place of {settings.DATA_DIR / 'keys.json'}."
            )

    def _first_owner(self, login: str, password: str) -> None:
        users = get_user_model()._default_manager
        if users.filter(is_superuser=True).exists():
            return
        password = password or secrets.token_urlsafe(9)
        users.create_superuser(login, "", password)  # type: ignore[attr-defined]
        note = settings.DATA_DIR / "first-login.txt"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch(mode=0o600)
        note.write_text(f"{login}\n{password}\n")
        self.stdout.write(f"The first owner is {login}; the password stands in {note}.")
        sys.stdout.flush()
