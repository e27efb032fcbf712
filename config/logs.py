"""How log lines are written."""

import logging
import re
from typing import Any

# The token in a webhook's address is its only secret. Django and gunicorn log the address of
# refused requests, so the secret is cut out of whatever is written, tracebacks included.
_TOKEN = re.compile(r"(/?hooks/[A-Za-z0-9_-]{4})[A-Za-z0-9_-]+")


class LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _TOKEN.sub(r"\1…", super().format(record))


def configuration(level: str) -> dict[str, Any]:
    """For logging.config.dictConfig: every line on the console, in one form."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "config.logs.LineFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s",
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {
            "gunicorn.error": {"level": level, "handlers": [], "propagate": True},
            # Scanners ask for any name, each time with a traceback; the answer says what to do.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
        },
        "root": {"handlers": ["console"], "level": level},
    }
