"""``manage.py serve``: what it prints, what it becomes, and when it refuses to."""

import os
import socket
import sys
from contextlib import closing
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder

from todo_project.management.commands import serve
from todo_project.server import socket_activation

pytestmark = pytest.mark.django_db

IN_USE = "Port {} is in use; set PORT to a free one"
LACKS_MIGRATIONS = "The database lacks migrations; run manage.py migrate"


@pytest.fixture
def became(monkeypatch):
    """The programs that the command became: path and arguments."""
    programs = []
    monkeypatch.setattr(serve.os, "execv", lambda *program: programs.append(program))
    return programs


@pytest.fixture(autouse=True)
def settings_of_a_server(settings):
    settings.HOST, settings.PORT = "127.0.0.1", free_port()
    settings.WORKERS, settings.THREADS, settings.LOG_LEVEL = 3, 5, "WARNING"
    return settings


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def ipv6():
    """Whether this machine has an IPv6 address of its own."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not ipv6(), reason="this machine has no IPv6")


def served():
    """What the command prints."""
    output, log = StringIO(), StringIO()
    call_command("serve", stdout=log, stderr=output)
    assert log.getvalue() == "", "the standard output is the log's"
    return output.getvalue()


def test_it_becomes_granian_with_the_settings(settings, became):
    served()
    [(path, arguments)] = became
    assert path == sys.executable
    assert arguments == [
        sys.executable,
        "-m",
        "granian",
        "--interface=wsgi",
        "--http=1",
        "--no-ws",
        "--host=127.0.0.1",
        f"--port={settings.PORT}",
        "--workers=3",
        "--blocking-threads=5",
        "--respawn-failed-workers",
        "--workers-kill-timeout=10",
        "--log-level=warning",
        f"--log-config={settings.BASE_DIR}/todo_project/server/granian_logs.json",
        "todo_project.wsgi:application",
    ]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_granian_knows_every_option_and_level(settings, level):
    """Its own parser reads them; it would end with 2."""
    from granian.cli import cli

    settings.LOG_LEVEL = level
    options = serve.server_options(settings.HOST, settings.PORT)
    with cli.make_context("granian", [*options, "--runtime-mode=st", "todo_project.wsgi:application"]) as context:
        assert context.params["port"] == settings.PORT
        assert context.params["log_level"].value == level.lower()


def test_in_development_granian_logs_in_its_own_way(settings, became):
    settings.DEBUG = True
    served()
    assert [option for option in became[0][1] if "log" in option] == ["--log-level=warning"]


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
def test_it_says_where_it_is(settings, became, host, address, listens_on):
    settings.HOST, settings.AUTH_MODE = host, "jwt"  # in single-user mode it would warn of the others
    assert served() == (
        f"API            http://{address}:{settings.PORT}/api/tasks\n"
        f"Documentation  http://{address}:{settings.PORT}/api/docs\n"
        f"Admin          http://{address}:{settings.PORT}/admin/\n"
    )
    assert f"--host={listens_on}" in became[0][1], "granian takes no names"


def check_refused(became, message):
    """It says so in one sentence, prints no address and starts nothing."""
    output = StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("serve", stdout=output, stderr=output)
    assert str(raised.value) == message
    assert (output.getvalue(), became) == ("", [])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_port_in_use_is_refused(settings, became, host):
    settings.HOST = host
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.PORT = server.getsockname()[1]
        check_refused(became, IN_USE.format(settings.PORT))


@needs_ipv6
def test_a_port_in_use_is_refused_on_ipv6_too(settings, became):
    settings.HOST = "::1"
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        settings.PORT = server.getsockname()[1]
        check_refused(became, IN_USE.format(settings.PORT))


def test_a_port_that_another_granian_shares_among_its_workers_is_in_use(settings, became):
    """They listen with SO_REUSEPORT, and another with the same would join them."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as server:
        settings.PORT = server.getsockname()[1]
        check_refused(became, IN_USE.format(settings.PORT))


def test_a_port_that_a_server_has_just_left_is_free(settings, became):
    """Its last connections linger in TIME_WAIT."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.PORT = server.getsockname()[1]
        with closing(socket.create_connection(server.getsockname())) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    served()
    assert len(became) == 1


def test_the_port_is_free_for_the_server_itself(settings, became):
    served()
    with socket.create_server(("127.0.0.1", settings.PORT)):
        assert len(became) == 1


@pytest.fixture
def passed(monkeypatch):
    """A socket that systemd has passed (sd_listen_fds(3))."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setattr(socket_activation, "PASSED", listening.fileno())
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        yield listening


def test_a_socket_that_was_passed_takes_the_place_of_host_and_port(settings, became, passed):
    port = passed.getsockname()[1]
    assert served() == (
        f"API            http://127.0.0.1:{port}/api/tasks\n"
        f"Documentation  http://127.0.0.1:{port}/api/docs\n"
        f"Admin          http://127.0.0.1:{port}/admin/\n"
    )
    [(_, [_, *arguments])] = became
    assert arguments == [
        "-m",
        "todo_project.server",
        "--runtime-mode=st",
        *serve.server_options("127.0.0.1", port),
        "todo_project.wsgi:application",
    ]
    assert passed.fileno() == socket_activation.PASSED, "it is left open"


@pytest.mark.parametrize(("name", "value"), [("LISTEN_PID", "1"), ("LISTEN_FDS", "2"), ("LISTEN_FDS", "")])
def test_a_socket_that_was_passed_to_another_process_is_not_taken(monkeypatch, became, passed, name, value):
    monkeypatch.setenv(name, value)
    served()
    assert became[0][1][2] == "granian"


@pytest.mark.parametrize("abstract", [False, True])
def test_whoever_started_it_is_told_when_it_can_serve(monkeypatch, tmp_path, abstract):
    path = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{path}" if abstract else path)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{path}" if abstract else path)
        socket_activation.notify_ready()
        assert manager.recv(100) == b"READY=1"


def test_whoever_listens_no_more_is_told_nothing(monkeypatch, tmp_path):
    """A worker that is started anew is no failure then."""
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/nowhere")
    socket_activation.notify_ready()


@pytest.mark.parametrize("app", ["tasks", "auth"])
def test_a_database_that_lacks_a_migration_is_refused(became, app):
    last = MigrationRecorder.Migration.objects.filter(app=app).order_by("name").last()
    last.delete()
    check_refused(became, LACKS_MIGRATIONS)


def test_a_database_that_is_away_is_told_of_in_one_sentence(became, monkeypatch):
    def fail():
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(serve, "lacks_migrations", fail)
    check_refused(became, "The database of DATABASE_URL cannot be used: connection refused")


def test_an_address_of_another_machine_is_named(settings):
    settings.HOST, settings.PORT = "192.0.2.1", 8000
    with pytest.raises(CommandError) as refusal:
        serve.free_address()
    assert str(refusal.value) == ("192.0.2.1 cannot be listened on: Cannot assign requested address; set HOST and PORT")
