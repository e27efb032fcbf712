"""How pages and webhooks are served: few processes with threads, connections kept open."""

import gc
import os
from typing import Any

from django.urls import get_resolver

from apps.core.processes import die_with_parent
from config import logs
from config.worker import Worker

_embedded = not os.environ.get("DATABASE_URL", "").startswith("postgres")

wsgi_app = "config.wsgi"
worker_class = Worker
# Loaded once, before the workers are forked, so that they share its memory (see when_ready).
preload_app = True
# SQLite has one writer: a second process would only wait for it.
workers = int(os.environ.get("SWITCHBOARD_WEB_PROCESSES") or (1 if _embedded else 2))
threads = int(os.environ.get("SWITCHBOARD_WEB_THREADS") or 8)
loglevel = os.environ.get("SWITCHBOARD_LOG_LEVEL", "warning").lower()
logconfig_dict = logs.configuration(loglevel.upper())
# Callers name no part of the address in headers (SCRIPT_NAME, PATH_INFO), proxied or not.
forwarder_headers = ""
# All of an installation stops within ten seconds (apps/core/processes.py).
graceful_timeout = 8
# A caller's address in the access log, but never the path: a webhook's token is in it.
accesslog = None


def when_ready(server: Any) -> None:
    from config import lane  # noqa: F401  (loads what the express lane needs)

    get_resolver().url_patterns  # noqa: B018  (loads every view, so that the workers share them)
    # What is loaded by now stays for ever: the collector need not touch it, and so not copy it.
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    die_with_parent()
