"""manage.py export_connector: a connector as a file that import_connector reads."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.connectors.exporting import export
from apps.connectors.models import Connector, Revision


def find_connector(text: str) -> Connector:
    """By its name, else by its id. Raises CommandError."""
    found = Connector.objects.filter(name=text).first()
    if found is None and text.isdecimal() and len(text) < 19:
        found = Connector.objects.filter(pk=int(text)).first()
    if found is None:
        raise CommandError(f'There is no connector "{text}".')
    return found


class Command(BaseCommand):
    help = "Write a connector's draft, or one of its revisions, as one JSON document."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("connector", help="name or id")
        parser.add_argument("--revision", type=int, help="a published revision, not the draft")
        parser.add_argument("--output", default="-", help="file to write; - (default) is stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        connector = find_connector(options["connector"])
        text = export(connector, self._revision(connector, options["revision"]))
        if options["output"] == "-":
            self.stdout.write(text, ending="")
            return
        try:
            Path(options["output"]).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"The file can't be written: {error.strerror}.") from None

    def _revision(self, connector: Connector, number: int | None) -> Revision | None:
        if number is None:
            return None
        found = connector.revisions.filter(number=number).first()
        if found is None:
            raise CommandError(f'The connector "{connector}" has no revision {number}.')
        return found
