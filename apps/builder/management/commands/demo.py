"""manage.py demo: set up, seed a small shop, start everything, say how to use it."""

import io
import json
import sys
import time
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from apps.builder.demo import ORDER, seed_shop
from apps.core.management.commands.web import check_port, default_bind
from apps.core.processes import Children

READY_SECONDS = 60


class Command(BaseCommand):
    help = "Set up, seed a small shop, start web and workers."

    def handle(self, *args: Any, **options: Any) -> None:
        check_port(default_bind())
        call_command("setup", keep_password=True, stdout=io.StringIO())
        connector = seed_shop()
        connections.close_all()
        children = Children()
        children.start("work")
        children.start("web", "--bind", default_bind())
        if self._answers(children):
            self._explain(connector.hook_url)
        sys.exit(children.wait())

    def _answers(self, children: Children) -> bool:
        """Wait until the login page is served."""
        address = urlsplit(settings.PUBLIC_URL)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and children.alive():
            client = HTTPConnection("127.0.0.1", address.port or 80, timeout=1)
            try:
                client.request("GET", "/admin/login/", headers={"Host": address.netloc})
                if client.getresponse().status == 200:
                    return True
            except OSError:
                pass  # not listening yet
            finally:
                client.close()
            time.sleep(0.1)
        if children.alive():
            children.stop()
            raise CommandError("The web server did not answer; its messages stand above.")
        return False

    def _explain(self, hook_url: str) -> None:
        login = settings.DATA_DIR / "first-login.txt"
        owner, password = (login.read_text().split() if login.exists() else ["", ""])[:2]
        who = f"{owner} / {password}" if owner else "the owner that you made"
        self.stdout.write(
            f"\nSwitchboard is ready\n\n"
            f"  Back office    {settings.PUBLIC_URL}/admin/\n"
            f"  Login          {who}\n"
            f"  Sandbox phone  {settings.PUBLIC_URL}/admin/sandbox/phone/\n\n"
            "Post an order, then look at the phone:\n\n"
            f"  curl -H 'Content-Type: application/json' -d '{json.dumps(ORDER)}' {hook_url}\n\n"
            "Ctrl-C stops everything.\n"
        )
        sys.stdout.flush()
