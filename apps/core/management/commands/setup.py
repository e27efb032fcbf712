"""manage.py setup: keys, tables, first owner. Safe to run again, for example after an upgrade."""

import secrets
import sys
from getpass import getpass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.models import FirstPassword, Installation, keys_fingerprint


class Command(BaseCommand):
    help = "Make or update this installation: its keys, its tables, its first owner."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--owner", default="owner", help="login of the first owner")
        parser.add_argument(
            "--password-file",
            metavar="FILE",
            help="a file with the first owner's password in its first line, or - to be asked for it"
            " (a command's arguments can be seen by everybody on the machine); without it, one is"
            " made up",
        )
        parser.add_argument(
            "--keep-password",
            action="store_true",
            help="the first password need not be changed at the first sign-in (for trials)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        self._check_keys()
        call_command("collectstatic", interactive=False, verbosity=0)
        self._first_owner(options)

    def _check_keys(self) -> None:
        installation = Installation.current()
        if installation.keys != keys_fingerprint():
            raise CommandError(
                "This database was set up with other keys. Put the keys.json that belongs to it "
                f"in the place of {settings.DATA_DIR / 'keys.json'}."
            )

    def _first_owner(self, options: dict[str, Any]) -> None:
        login = options["owner"]
        users = get_user_model()._default_manager
        if users.filter(is_superuser=True).exists():
            return
        given = _given_password(options["password_file"])
        password = given or secrets.token_urlsafe(9)
        user = users.create_superuser(login, "", password)  # type: ignore[attr-defined]
        if not options["keep_password"]:
            FirstPassword.objects.create(user=user, password=user.password)
        if given:
            self.stdout.write(f"The first owner is {login}, with the password that you gave.")
            return
        note = settings.DATA_DIR / "first-login.txt"
        note.touch(mode=0o600)
        note.write_text(f"{login}\n{password}\n")
        self.stdout.write(f"The first owner is {login}; the password stands in {note}.")
        sys.stdout.flush()


def _given_password(source: str | None) -> str:
    """The password in a file, or from the terminal or a pipe (-); empty when none was named."""
    if source is None:
        return ""
    try:
        if source == "-":
            read = getpass("Password of the first owner: ") if sys.stdin.isatty() else input()
        else:
            read = Path(source).read_text().partition("\n")[0]
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise CommandError(f"The password can't be read: {error}.") from None
    password = read.rstrip("\r")
    try:
        validate_password(password)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from None
    return password
