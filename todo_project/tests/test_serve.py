"""``manage.py serve``: its output, the program it becomes, and its refusals."""

import os
import signal
import socket
import sys
from contextlib import closing
from io import StringIO
from types import SimpleNamespace

import dj_database_url
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionHandler

from testing.ports import free_port
from todo_project.management.commands import serve
from todo_project.server import SIGNALS, socket_activation

pytestmark = pytest.mark.django_db

IN_USE = "Port {} is in use; set PORT to a free one"
LACKS_STATIC_FILES = "The static files are missing; run manage.py collectstatic --no-input"
LACKS_MIGRATION = "The database lacks the migration {}.{}; run manage.py migrate"


@pytest.fixture
def programs(monkeypatch):
    """Record path, arguments and environment of each program that the command becomes."""
    programs = []
    monkeypatch.setattr(serve.os, "execve", lambda *program: programs.append(program))
    yield programs
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for descriptor in {descriptor for program in programs for descriptor in descriptors(program)}:
        if descriptor != socket_activation.LISTEN_FDS_START:
            os.close(descriptor)


def descriptors(program):
    return [int(descriptor) for descriptor in program[1][4].split(",")]


def listening_addresses(program):
    """Return the addresses of the sockets that the program gets."""
    addresses = []
    for descriptor in descriptors(program):
        assert os.get_inheritable(descriptor)
        with socket.socket(fileno=os.dup(descriptor)) as listening:
            assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
            addresses.append(listening.getsockname()[:2])
    return addresses


@pytest.fixture(autouse=True)
def server_settings(settings):
    settings.HOST, settings.PORT = "127.0.0.1", free_port()
    settings.WORKERS, settings.THREADS, settings.LOG_LEVEL = 3, 5, "WARNING"
    return settings


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def serve_output():
    """Run the command, and return its standard error; its standard output is for the log."""
    stdout, stderr = StringIO(), StringIO()
    call_command("serve", stdout=stdout, stderr=stderr)
    assert stdout.getvalue() == ""
    return stderr.getvalue()


def test_serve_becomes_granian_with_the_settings(settings, programs):
    call_command("serve")
    [program] = programs
    path, arguments, environment = program
    assert path == sys.executable
    assert listening_addresses(program) == [("127.0.0.1", settings.PORT)] * 3
    assert environment["PYTHONPATH"].split(os.pathsep)[0] == str(settings.BASE_DIR)
    assert arguments == [
        sys.executable,
        "-P",
        "-m",
        "todo_project.server",
        arguments[4],
        serve.sqlite_file(connection),
        "",
        "--interface=wsgi",
        "--http=1",
        "--no-ws",
        "--runtime-mode=st",
        f"--working-dir={settings.BASE_DIR}",
        "--host=127.0.0.1",
        f"--port={settings.PORT}",
        "--workers=3",
        "--blocking-threads=141",
        "--respawn-failed-workers",
        "--workers-kill-timeout=10",
        "--log-level=warning",
        f"--log-config={settings.BASE_DIR}/todo_project/server/granian_logs.json",
        "todo_project.wsgi:application",
    ]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_granian_accepts_every_option_and_log_level(settings, level):
    from granian.cli import cli

    settings.LOG_LEVEL = level
    options = serve.granian_options(settings.HOST, settings.PORT)
    with cli.make_context("granian", [*options, "todo_project.wsgi:application"]) as context:
        assert context.params["port"] == settings.PORT
        assert context.params["log_level"].value == level.lower()


def test_serve_with_debug_keeps_the_log_format_of_granian(settings, programs):
    settings.DEBUG = True
    call_command("serve")
    assert [option for option in programs[0][1] if "log" in option] == ["--log-level=warning"]


@pytest.mark.parametrize(
    ("host", "address", "listens_on"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0"),
        pytest.param("::1", "[::1]", "::1", marks=needs_ipv6),
        pytest.param("::", "[::]", "::", marks=needs_ipv6),
    ],
)
def test_serve_prints_its_addresses(settings, programs, host, address, listens_on):
    settings.HOST, settings.AUTH_MODE = host, "jwt"  # single-user mode would warn about other hosts
    assert serve_output() == (
        f"API            http://{address}:{settings.PORT}/api/tasks\n"
        f"Documentation  http://{address}:{settings.PORT}/api/docs\n"
        f"Admin          http://{address}:{settings.PORT}/admin/\n"
    )
    assert listening_addresses(programs[0]) == [(listens_on, settings.PORT)] * 3


def assert_refused(programs, message):
    """Assert that the command fails with ``message``, prints no address and becomes no program."""
    output = StringIO()
    with pytest.raises(CommandError) as refusal:
        call_command("serve", stdout=output, stderr=output)
    assert str(refusal.value) == message
    assert (output.getvalue(), programs) == ("", [])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_port_in_use_is_refused(settings, programs, host):
    settings.HOST = host
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.PORT = server.getsockname()[1]
        assert_refused(programs, IN_USE.format(settings.PORT))


def test_host_that_does_not_resolve_is_refused(settings, programs, monkeypatch):
    """A resolver answers ``.invalid`` (RFC 6761) by the network's state, so the test answers itself."""

    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    settings.HOST, settings.AUTH_MODE = "nope.invalid", "jwt"
    monkeypatch.setattr(socket.socket, "bind", fail)
    assert_refused(programs, "Cannot listen on nope.invalid: Name or service not known; set HOST and PORT")


def test_database_in_memory_is_refused(programs, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "NAME", ":memory:")
    assert_refused(programs, "Set DATABASE_URL to a file, because each process would have a database of its own")


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), pytest.param("::1", "[::1]", marks=needs_ipv6)]
)
def test_metrics_port_gets_a_socket_of_its_own(settings, programs, host, address):
    settings.METRICS_HOST, settings.METRICS_PORT = host, free_port()
    assert serve_output().splitlines()[-1] == f"Metrics        http://{address}:{settings.METRICS_PORT}/metrics"
    with socket.socket(fileno=int(programs[0][1][6])) as listening:
        assert listening.getsockname()[:2] == (host, settings.METRICS_PORT)
        assert listening.get_inheritable() is True


def test_metrics_port_in_use_is_refused(settings, programs):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.METRICS_PORT = server.getsockname()[1]
        assert_refused(programs, f"Port {settings.METRICS_PORT} is in use; set METRICS_PORT to a free one")


def test_metrics_host_of_another_machine_is_refused(settings, programs):
    settings.METRICS_HOST, settings.METRICS_PORT = "192.0.2.1", free_port()
    message = "Cannot listen on 192.0.2.1: Cannot assign requested address; set METRICS_HOST and METRICS_PORT"
    assert_refused(programs, message)


@needs_ipv6
def test_port_in_use_on_ipv6_is_refused(settings, programs):
    settings.HOST = "::1"
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        settings.PORT = server.getsockname()[1]
        assert_refused(programs, IN_USE.format(settings.PORT))


def test_port_of_another_granian_is_refused(settings, programs):
    """Granian listens with SO_REUSEPORT, so a second one could share the port."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as server:
        settings.PORT = server.getsockname()[1]
        assert_refused(programs, IN_USE.format(settings.PORT))


def test_port_with_connections_in_time_wait_is_free(settings, programs):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.PORT = server.getsockname()[1]
        with closing(socket.create_connection(server.getsockname())) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    call_command("serve")
    assert len(programs) == 1


def test_serve_keeps_the_port_from_other_servers(settings, programs):
    """The second server also cannot have the port while the first one still starts."""
    call_command("serve")
    with pytest.raises(CommandError, match=IN_USE.format(settings.PORT)):
        call_command("serve")


def test_signals_wait_for_the_handlers_of_the_server(programs):
    call_command("serve")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@pytest.mark.parametrize(("url", "file"), [("sqlite:////srv/db.sqlite3", "/srv/db.sqlite3"), ("sqlite://:memory:", "")])
def test_sqlite_file_is_the_path_of_a_database_on_disk(url, file):
    database = ConnectionHandler({"default": dj_database_url.parse(url)})["default"]
    assert serve.sqlite_file(database) == file


def test_sqlite_file_of_postgresql_is_empty():
    assert serve.sqlite_file(SimpleNamespace(vendor="postgresql")) == ""


@pytest.fixture
def passed(monkeypatch):
    """Pass a socket to this process as systemd does (sd_listen_fds(3))."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setattr(socket_activation, "LISTEN_FDS_START", listening.fileno())
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        yield listening


def test_passed_socket_replaces_host_and_port(settings, programs, passed):
    port = passed.getsockname()[1]
    assert serve_output() == (
        f"API            http://127.0.0.1:{port}/api/tasks\n"
        f"Documentation  http://127.0.0.1:{port}/api/docs\n"
        f"Admin          http://127.0.0.1:{port}/admin/\n"
    )
    [(_, arguments, _)] = programs
    assert arguments[4] == str(passed.fileno())
    assert passed.fileno() == socket_activation.LISTEN_FDS_START  # the socket is still open


@pytest.mark.parametrize(("name", "value"), [("LISTEN_PID", "1"), ("LISTEN_FDS", "2"), ("LISTEN_FDS", "")])
def test_socket_for_another_process_is_ignored(monkeypatch, programs, passed, name, value):
    monkeypatch.setenv(name, value)
    call_command("serve")
    assert passed.fileno() not in descriptors(programs[0])


@pytest.mark.parametrize("abstract", [False, True])
def test_notify_ready_tells_systemd(monkeypatch, tmp_path, abstract):
    path = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{path}" if abstract else path)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{path}" if abstract else path)
        socket_activation.notify_ready()
        assert manager.recv(100) == b"READY=1"


def test_notify_ready_without_a_listener_does_nothing(monkeypatch, tmp_path):
    """Workers that start later would fail otherwise."""
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/nowhere")
    socket_activation.notify_ready()


@pytest.mark.parametrize("app", ["tasks", "auth"])
def test_database_without_a_migration_is_refused(programs, app):
    last = MigrationRecorder.Migration.objects.filter(app=app).order_by("name").last()
    last.delete()
    assert_refused(programs, LACKS_MIGRATION.format(app, last.name))


def test_missing_static_files_are_refused(settings, programs, tmp_path):
    settings.STATIC_ROOT = tmp_path
    assert_refused(programs, LACKS_STATIC_FILES)


def test_debug_needs_no_static_files(settings, programs, tmp_path):
    settings.STATIC_ROOT, settings.DEBUG = tmp_path, True
    call_command("serve", stderr=StringIO())
    assert len(programs) == 1


def test_unavailable_database_is_refused_in_one_sentence(programs, monkeypatch):
    def fail():
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(serve, "find_missing_migration", fail)
    assert_refused(programs, "The database of DATABASE_URL cannot be used: connection refused")


def test_address_of_another_machine_is_refused(settings):
    settings.HOST, settings.PORT = "192.0.2.1", 8000
    with pytest.raises(CommandError) as refusal:
        serve.open_sockets()
    assert str(refusal.value) == "Cannot listen on 192.0.2.1: Cannot assign requested address; set HOST and PORT"
