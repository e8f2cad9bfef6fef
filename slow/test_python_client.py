"""A client in Python, which openapi-python-client generates from ``openapi.yaml``."""

import subprocess
import sys
from pathlib import Path

import pytest

from testing.python_processes import ROOT

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Return the directory of the generated package."""
    path = tmp_path_factory.mktemp("python") / "todo_client"
    generator = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--meta=none"]
    configuration = path.with_name("configuration.yaml")
    configuration.write_text("post_hooks: []")  # the hooks only format the code
    options = [f"--path={ROOT}/openapi.yaml", f"--output-path={path}", f"--config={configuration}"]
    subprocess.run([*generator, *options], check=True)
    return path


def test_generated_python_client_has_operations(package):
    modules = {path.stem for path in (package / "api" / "tasks").glob("[a-z]*.py")}
    assert modules >= {"create_task", "delete_task", "get_task", "list_tasks", "toggle_task"}
