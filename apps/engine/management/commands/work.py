"""manage.py work: the background workers, restarted when they fail."""

import gc
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from apps.engine.supervisor import Supervisor


class Command(BaseCommand):
    help = "Run the background workers. Any number of hosts may do so on one PostgreSQL database."

    def handle(self, *args: Any, **options: Any) -> None:
        connections.close_all()
        # What is loaded by now stays for ever. Frozen, the collector never touches it, and the
        # processes that are forked from here go on sharing its memory.
        gc.collect()
        gc.freeze()
        Supervisor(settings.DRAINS).run()
