"""manage.py kinds: which kinds of actions there are, and what they take, give and can fail with."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.builder.catalogue import NoDocs, as_markdown, as_table, catalogue, put_into


class Command(BaseCommand):
    help = "List the kinds of actions."
    # It reads no row, and may be asked before the database is there.
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["table", "json", "markdown"], default="table")
        parser.add_argument("--into", help="put the Markdown table into this file, at its place")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["into"]:
            self._put_into(Path(options["into"]))
        elif options["format"] == "json":
            try:
                self.stdout.write(json.dumps(catalogue(), indent=2, default=str))
            except NoDocs as error:
                raise CommandError(str(error)) from None
        else:
            self.stdout.write(as_markdown() if options["format"] == "markdown" else as_table())

    def _put_into(self, path: Path) -> None:
        try:
            path.write_text(put_into(path.read_text()))
        except OSError as error:
            raise CommandError(f"The file can't be written: {error.strerror}.") from None
        except ValueError as error:
            raise CommandError(str(error)) from None
