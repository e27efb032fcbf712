"""manage.py up: web and workers together, for an installation on one host."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from apps.core.management.commands.web import check_port, default_bind
from apps.core.processes import Children


class Command(BaseCommand):
    help = "Run web and workers together; Ctrl-C stops both."

    def handle(self, *args: Any, **options: Any) -> None:
        check_port(default_bind())
        children = Children()
        children.start("work")
        children.start("web")
        sys.exit(children.wait())
