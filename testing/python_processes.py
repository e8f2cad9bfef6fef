"""Processes of their own, for what is settled when a process starts."""

import json
import os
import subprocess
import sys

from django.conf import settings

SOUND = {
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "AUTH_MODE": "single-user",
}


def run(*arguments, **environment):
    """Run Python with these arguments and, of the service's variables, only these; ``None`` leaves one out.

    It is measured where the suite is.
    """
    coverage = os.environ.get("COVERAGE_PROCESS_CONFIG")
    variables = {"ENV_FILE": os.devnull, "COVERAGE_PROCESS_CONFIG": coverage, **environment}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def printed(code, **environment):
    """What the code prints as JSON, in a process with sound settings and these variables."""
    process = run("-c", code, **{"DJANGO_SETTINGS_MODULE": "todo_project.settings", **SOUND, **environment})
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)
