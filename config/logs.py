"""How log lines are written."""

import logging
import re

# The token in a webhook's address is its only secret. Django logs the path of every refused
# request, so the secret is cut out of whatever is written, tracebacks included.
_TOKEN = re.compile(r"(/hooks/[A-Za-z0-9_-]{4})[A-Za-z0-9_-]+")


class LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _TOKEN.sub(r"\1…", super().format(record))
