"""`manage.py check --deploy` as production would run it; any warning fails."""

import os
import sys
import tempfile

os.environ.update(
    SWITCHBOARD_URL="https://switchboard.example",
    SWITCHBOARD_SECRET_KEY="only-for-this-check-" + "".join(map(chr, range(48, 110))),
    SWITCHBOARD_DATA_DIR=tempfile.gettempdir(),
    DJANGO_SETTINGS_MODULE="config.settings",
)

import django
from django.core.management import call_command

django.setup()
try:
    call_command("check", deploy=True, fail_level="WARNING")
except Exception as error:
    sys.exit(str(error))
