"""manage.py up: web and workers together, for an installation on one host."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand

from apps.core import processes
from apps.core.management.commands.web import check_port, default_bind


class Command(BaseCommand):
    help = "Run web and workers together; Ctrl-C stops both."

    def handle(self, *args: Any, **options: Any) -> None:
        check_port(default_bind())
        # From here on nothing of Django is needed: a fresh interpreter holds a tenth of the memory.
        # (-P: its neighbours in apps/core are not to be taken for modules of Python.)
        os.execv(sys.executable, [sys.executable, "-P", processes.__file__, "work", "web"])
