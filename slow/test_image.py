"""The image of ``Dockerfile``: its size, its files, and its service in a container."""

import json
import re
import shutil
import signal
import subprocess
import tomllib
from contextlib import contextmanager
from os import kill
from tempfile import TemporaryDirectory

import pytest
import yaml

from slow.images import REVISION, Buildah
from testing.documented_sessions import run_session
from testing.ports import free_port
from testing.postgresql import PostgreSQL
from testing.process_tree import proc_fields, process_tree
from testing.python_processes import ROOT
from testing.servers import Server
from testing.waiting import wait_for
from todo_project import __version__

pytestmark = pytest.mark.once

MOST_BYTES = 280_000_000
#: Joined, because this file is in the directory that the image is built from.
SECRET = "-".join(["only", "for", "this", "test"])
FILES_WITH_SECRET = [".env", "db.sqlite3", "secret.txt", "tasks/tests/secret.py"]
NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", "node_modules", "staticfiles", "*.sqlite3*")
TIMEOUT = 60

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """Return the directory that the image is built from, which also has files with a secret."""
    context = tmp_path_factory.mktemp("context") / "repository"
    shutil.copytree(ROOT, context, ignore=NOT_COPIED)
    for name in FILES_WITH_SECRET:
        (context / name).write_text(f"# {SECRET}")
    return context


@pytest.fixture(scope="module")
def image(context, tmp_path_factory):
    directory = tmp_path_factory.mktemp("image")
    buildah = Buildah(directory)
    return buildah.build(context, buildah.make_base(directory / "base"))


@pytest.fixture(scope="module")
def postgresql():
    with TemporaryDirectory(prefix="todo-image-") as directory:
        server = PostgreSQL.create_in(directory)
        server.start()
        server.execute("CREATE ROLE todo LOGIN")
        server.execute("CREATE DATABASE todo OWNER todo")
        yield server
        server.kill()


@pytest.fixture(scope="module")
def new_volume(image, tmp_path_factory):
    """Return a function that makes a volume with the secrets."""

    def new_volume():
        volume = tmp_path_factory.mktemp("volume")
        volume.chmod(0o755)
        shutil.chown(volume, *map(int, image.config["User"].split(":")))
        run_secrets_job(image, volume)
        return volume

    return new_volume


@pytest.fixture(scope="module")
def volume(new_volume):
    return new_volume()


def run_secrets_job(image, volume):
    """Run the job as Compose does, which replaces ``$$`` by ``$``."""
    job = COMPOSE["secrets"]
    [script] = job["command"]
    subprocess.run(image.command(volume, script.replace("$$", "$"), entrypoint=job["entrypoint"]), check=True)


@pytest.fixture(scope="module")
def settings(postgresql, volume):
    """Return the settings of compose.yaml, with the address of another database."""
    (volume / "database_url").write_text(f"postgresql://todo@127.0.0.1:{postgresql.port}/todo")
    variables = COMPOSE["service"]["environment"]
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for name, value in variables.items()}
    return {**defaults, "PORT": str(free_port())}


@contextmanager
def running_container(command, port):
    """Yield the server and its first process, as soon as it is ready, and stop the container."""
    with subprocess.Popen(command) as process:
        server = Server(port, process.pid)
        try:
            wait_for(lambda: is_ready(server), "the container is ready", TIMEOUT)
            yield server
        finally:
            stop(server)


def is_ready(server):
    try:
        return server.get("/readyz")[0] == 200
    except OSError:
        return False


def first_process(server):
    """Return the process that has the number 1 in the container."""
    return process_tree(server.pid)[1]


def stop(server):
    kill(first_process(server), signal.SIGTERM)


@pytest.fixture(scope="module")
def container(image, volume, settings):
    subprocess.run(image.command(volume, *COMPOSE["migrate"]["command"], **settings), check=True)
    with running_container(image.command(volume, **settings), int(settings["PORT"])) as server:
        yield server


def test_image_has_at_most_280_megabytes(image):
    assert image.size() <= MOST_BYTES


def test_image_has_only_files_of_the_service(image):
    names = {path.name for path in (image.root / "srv/todo").iterdir()}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    assert names == {*packages, ".venv", "LICENSE", "__pycache__", "manage.py", "staticfiles"}
    assert files_with_secret(image.root) == []


def test_control_without_dockerignore_secrets_are_found(context):
    assert files_with_secret(context) == FILES_WITH_SECRET


def files_with_secret(directory):
    command = ["grep", "--recursive", "--files-with-matches", SECRET, "."]
    found = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, text=True, check=False).stdout
    return sorted(name.removeprefix("./") for name in found.splitlines())


@pytest.mark.parametrize("page", ["README.md", "docs/session.md"])
def test_container_answers_documented_session(container, page):
    printed, documented = run_session(page, container.port)
    assert printed == documented


def test_container_names_its_revision(container):
    status, body = container.get("/readyz")
    assert (status, json.loads(body)) == (200, {"status": "ok", "build": f"{__version__}+{REVISION}"})


def test_container_serves_static_files(container):
    status, page = container.get("/api/docs")
    styles = re.findall(r'href="(/static/[^"]+\.css)"', page.decode())
    assert (status, len(styles) > 0) == (200, True)
    assert {container.get(path)[0] for path in styles} == {200}


def test_container_has_no_privileges(container):
    status = proc_fields(f"/proc/{first_process(container)}/status")
    fields = ("Uid", "CapEff", "CapBnd", "NoNewPrivs")
    assert [status[name].split()[0] for name in fields] == ["10001", "0" * 16, "0" * 16, "1"]


def test_container_cannot_write_to_the_image(image, volume, settings):
    script = "touch /srv/todo/written /tmp/written"
    command = image.command(volume, script, entrypoint=["sh", "-c"], **settings)
    process = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (
        1,
        "touch: cannot touch '/srv/todo/written': Read-only file system\n",
    )


def health_check(image, volume, settings):
    """Run the program of HEALTHCHECK as the engine does, and return its exit code."""
    kind, *program = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    command = image.command(volume, *program, entrypoint=[], **settings)
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode


def test_health_check_follows_the_database(container, image, volume, settings, postgresql):
    wait_for(lambda: health_check(image, volume, settings) == 0, "the health check succeeds")
    postgresql.stop()
    try:
        wait_for(lambda: health_check(image, volume, settings) == 1, "the health check fails")
    finally:
        postgresql.start()
    wait_for(lambda: health_check(image, volume, settings) == 0, "the health check succeeds again")


def test_container_stops_with_exit_code_0(image, volume, settings, container):
    port = free_port()
    command = image.command(volume, **{**settings, "PORT": str(port)})
    with subprocess.Popen(command) as process:
        server = Server(port, process.pid)
        wait_for(lambda: is_ready(server), "the container is ready", TIMEOUT)
        stop(server)
        assert process.wait(TIMEOUT) == 0


def test_secrets_job_keeps_secrets(image, new_volume):
    volume = new_volume()
    names = ("secret_key", "database_password")
    before = [(volume / name).read_text() for name in names]
    run_secrets_job(image, volume)
    after = [(volume / name).read_text() for name in names]
    assert (before, len(set(after)), {len(text) > 60 for text in after}) == (after, 2, {True})
    url = (volume / "database_url").read_text()
    assert url == f"postgresql://todo:{after[1].strip()}@database/todo\n"
