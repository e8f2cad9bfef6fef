#!/usr/bin/env python
"""Run the management commands; ``python manage.py help`` lists them."""

import os
import sys


def main() -> None:
    """Run the command, and exit with one sentence if a setting is missing or wrong."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todo_project.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from environs import EnvError

    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, EnvError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
