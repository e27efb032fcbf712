#!/usr/bin/env python3
"""Run an administrative command of Switchboard."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.umask(0o077)  # what it writes (the database, uploads) is nobody else's to read
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        if sys.argv[1:2] in (["setup"], ["demo"]):
            # The settings read the keys, so a new installation makes them before anything loads.
            from config.keys import ensure_keys, keep_private

            ensure_keys()
            keep_private()
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Switchboard can't start: {error}")


if __name__ == "__main__":
    main()
