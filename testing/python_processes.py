"""Run Python in a process of its own, with settings that do not depend on the caller's environment."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

#: The settings without which the service does not start.
REQUIRED_SETTINGS = {
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "AUTH_MODE": "single-user",
}

#: The variables of the caller that ``service_environment`` keeps.
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "DB_POOLER")


def run_python(*arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run Python with ``arguments``, and with ``environment`` as its only variables.

    A variable of ``None`` is omitted. If the tests measure coverage, the process does too.
    """
    coverage = os.environ.get("COVERAGE_PROCESS_CONFIG")
    variables = {"ENV_FILE": os.devnull, "COVERAGE_PROCESS_CONFIG": coverage, **environment}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def json_output_of(code: str, **environment: str | None) -> Any:
    """Run ``code`` with the required settings and ``environment``, and parse the JSON that it prints."""
    defaults = {"DJANGO_SETTINGS_MODULE": "todo_project.settings", **REQUIRED_SETTINGS}
    process = run_python("-c", code, **{**defaults, **environment})
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def service_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a process: required settings, ``variables`` and kept variables."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, "ENV_FILE": os.devnull, **REQUIRED_SETTINGS, "LOG_LEVEL": "WARNING", **variables}


def python_output(*arguments: str, **variables: str) -> str:
    """Run Python with ``service_environment``, and return its output.

    Raises:
        subprocess.CalledProcessError: the exit code is not 0. Standard error is the caller's.
    """
    command = [sys.executable, *arguments]
    environment = service_environment(**variables)
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
