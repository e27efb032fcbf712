"""manage.py web: pages and webhooks on the address of SWITCHBOARD_URL, or on --bind."""

import os
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.processes import MANAGE


def default_bind() -> str:
    """Loopback at the port of the public address; behind a proxy, port 8000."""
    public = urlsplit(settings.PUBLIC_URL)
    return f"127.0.0.1:{public.port or 8000}"


def check_port(bind: str) -> None:
    """Raises CommandError with one sentence when somebody else listens there."""
    host, _, port = bind.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]") or "127.0.0.1", int(port)))
        except (OSError, ValueError) as error:
            raise CommandError(
                f"Port {port} can't be used ({error}). Is something else running there? "
                "Choose another one, for example: make demo PORT=8001"
            ) from None


class Command(BaseCommand):
    help = "Serve pages and webhooks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default="", help="address:port to listen on")

    def handle(self, *args: Any, **options: Any) -> None:
        bind = options["bind"] or default_bind()
        check_port(bind)
        os.chdir(MANAGE.parent)
        gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:config.gunicorn"]
        os.execv(sys.executable, [*gunicorn, "--bind", bind])
