"""Run Python in a process of its own, for tests of code that runs once per process, such as the settings."""

import json
import os
import subprocess
import sys

from django.conf import settings

#: The settings without which the service does not start.
REQUIRED_SETTINGS = {
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "AUTH_MODE": "single-user",
}


def run_python(*arguments, **environment):
    """Run Python with ``arguments``, and with only ``environment`` as its variables; ``None`` omits a variable.

    If the tests measure coverage, the process does too.
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


def json_output_of(code, **environment):
    """Run ``code`` with the required settings and ``environment``, and parse the JSON that it prints."""
    defaults = {"DJANGO_SETTINGS_MODULE": "todo_project.settings", **REQUIRED_SETTINGS}
    process = run_python("-c", code, **{**defaults, **environment})
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)
