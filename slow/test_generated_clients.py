"""Clients that generators make from ``openapi.yaml`` compile strictly, and run a session.

``make test-slow`` installs the generators.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testing.databases import database_copy
from testing.python_processes import ROOT
from testing.servers import running_service

HERE = Path(__file__).parent
TOKEN = "a-token-of-the-sessions-0123456789"
CONTRACT = ROOT / "openapi.yaml"

pytestmark = pytest.mark.once

MILK, PLUMBER, PLANTS = "Buy milk", "Call the plumber", "Water the plants"
STEPS = [
    ["create", 201, [[MILK, False, "high", ["home"], 1]]],
    ["put", 201, [[PLUMBER, False, None, [], 1]]],
    ["list", 200, [[PLUMBER, False, None, [], 1], [MILK, False, "high", ["home"], 1]]],
    ["count", 200, 1],
    ["patch", 200, [[MILK, False, None, ["shop"], 2]]],
    ["stale patch", 412, "precondition_failed"],
    ["refused", 400, [["#/title", "blank"]]],
    ["toggle", 200, [[MILK, True, None, ["shop"], 3]]],
    [
        "bulk",
        200,
        [[PLANTS, False, None, [], 1], [PLUMBER, False, None, ["phone"], 2], [MILK, False, None, ["shop"], 4]],
    ],
    ["delete", 200, [[MILK, False, None, ["shop"], 5]]],
    ["changes", 200, [["live", PLUMBER], ["live", PLANTS], ["trashed", MILK]], False],
]


@pytest.fixture
def service(migrated_database):
    """Yield a service with a database of its own, because each session stores a task under the same id."""
    with database_copy(migrated_database) as url, running_service(url, API_TOKEN=TOKEN, WORKERS="1") as server:
        yield server


def run(*command, cwd):
    """Run a program, and return its exit code and output."""
    process = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return process.returncode, process.stdout + process.stderr


class PythonClient:
    """The package of openapi-python-client, checked by mypy."""

    session = "session.py"
    mistake = "TaskRequest(title='Buy milk', tilte='')"
    complaint = 'Unexpected keyword argument "tilte" for "TaskRequest"'

    def __init__(self, directory):
        self.directory = directory
        # Ruff only formats the code, and the generator's own client.py has wrong types.
        (directory / "generator.yaml").write_text("post_hooks: []")
        (directory / "mypy.ini").write_text("[mypy]\nstrict = True\n[mypy-todo_client.client]\nignore_errors = True\n")
        options = ["--meta=none", "--output-path=todo_client", "--config=generator.yaml", "--fail-on-warning"]
        generator = Path(sys.executable).with_name("openapi-python-client")
        subprocess.run([generator, "generate", f"--path={CONTRACT}", *options], cwd=directory, check=True)

    def compile(self):
        return run(
            sys.executable, "-m", "mypy", "--config-file=mypy.ini", "todo_client", "session.py", cwd=self.directory
        )

    def command(self):
        return [sys.executable, "session.py"]


class TypeScriptClient:
    """The types of openapi-typescript, used with openapi-fetch and checked by tsc."""

    session = "session.ts"
    mistake = 'await client.POST("/api/tasks", { body: { tilte: "Buy milk" } });'
    complaint = "'tilte' does not exist in type"

    def __init__(self, directory):
        self.directory = directory
        self.programs = HERE / "node_modules" / ".bin"
        (directory / "node_modules").symlink_to(HERE / "node_modules")
        (directory / "package.json").write_text('{"type": "module"}')
        subprocess.run([self.programs / "openapi-typescript", CONTRACT, "-o", "api.ts"], cwd=directory, check=True)

    def compile(self):
        strict = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--noUnusedLocals"]
        target = ["--target", "es2022", "--module", "nodenext"]
        return run(self.programs / "tsc", *strict, *target, "session.ts", cwd=self.directory)

    def command(self):
        return ["node", "session.js"]


@pytest.fixture(
    params=[
        PythonClient,
        pytest.param(
            TypeScriptClient,
            marks=[
                pytest.mark.skipif(shutil.which("node") is None, reason="NOT TESTED WITH TYPESCRIPT: install Node"),
                pytest.mark.skipif(
                    not (HERE / "node_modules").exists(), reason="NOT TESTED WITH TYPESCRIPT: run make test-slow"
                ),
            ],
        ),
    ],
    ids=["python", "typescript"],
)
def client(request, tmp_path):
    """Return a client that is generated in a directory of its own, beside its session."""
    shutil.copy(HERE / request.param.session, tmp_path)
    return request.param(tmp_path)


def test_generated_client_compiles_and_runs_session(client, service):
    code, output = client.compile()
    assert code == 0, output
    session = [*client.command(), service.url, TOKEN]
    steps = subprocess.run(session, cwd=client.directory, stdout=subprocess.PIPE, check=True).stdout
    assert json.loads(steps) == STEPS


def test_control_without_known_field_compilation_fails(client):
    with (client.directory / client.session).open("a") as session:
        session.write(f"{client.mistake}\n")
    code, output = client.compile()
    assert code != 0
    assert client.complaint in output
