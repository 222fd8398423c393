#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Run one command; a setting that is missing or wrong is told in one sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")
    # Whatever process it was started from, such as a shell in the web container.
    os.environ["PROCESS_ROLE"] = "web" if "runserver" in sys.argv[1:2] else "command"
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"{error}\n.env.example lists every setting and says how to make it.")


if __name__ == "__main__":
    main()
