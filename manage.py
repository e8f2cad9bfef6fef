#!/usr/bin/env python
"""Run the management commands; ``python manage.py help`` lists them."""

import os
import sys

from todo_project.server import hold_sighup


def main() -> None:
    """Run the command; a wrong setting, an unavailable database and Ctrl-C end it with one sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todo_project.settings")
    if sys.argv[1:2] == ["serve"]:
        hold_sighup()
    try:
        from commands.execution import execute

        execute(sys.argv)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
