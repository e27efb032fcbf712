"""manage.py import_connector: a connector from the file that export_connector wrote."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.connectors.importing import Imported, import_into, import_new
from apps.connectors.management.commands.export_connector import find_connector
from apps.connectors.reading import NotImportable


class Command(BaseCommand):
    help = "Make a connector from an export, or replace the draft of one. Nothing is published."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="the exported file; - is stdin")
        target = parser.add_mutually_exclusive_group()
        target.add_argument("--name", default="", help="of the new connector; else the file's")
        target.add_argument("--replace", default="", help="name or id: replace that draft instead")

    def handle(self, *args: Any, **options: Any) -> None:
        imported = self._import(self._read(options["file"]), options["name"], options["replace"])
        connector = imported.connector
        done = f'The draft of connector {connector.pk}, "{connector}", was replaced.'
        if not options["replace"]:
            done = f'Connector {connector.pk}, "{connector}", was made.'
        self.stdout.write(f"{done} Look at it and publish it.")
        for sentence in imported.unresolved:
            self.stdout.write(f"  {sentence}")

    def _import(self, raw: bytes, name: str, replaced: str) -> Imported:
        try:
            return import_into(find_connector(replaced), raw) if replaced else import_new(raw, name)
        except NotImportable as error:
            raise CommandError(str(error)) from None

    def _read(self, file: str) -> bytes:
        """One byte more than is imported, so that a file that is too large is told."""
        most = settings.MAX_IMPORT_BYTES + 1
        if file == "-":
            return sys.stdin.buffer.read(most)
        try:
            with Path(file).open("rb") as opened:
                return opened.read(most)
        except OSError as error:
            raise CommandError(f"The file can't be read: {error.strerror}.") from None
