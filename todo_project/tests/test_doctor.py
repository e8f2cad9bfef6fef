"""``manage.py doctor`` on a good installation, and on broken ones."""

import json
import os
import re
import sqlite3
from collections import namedtuple
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from django.contrib.staticfiles import finders
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from commands.tests.test_execution import refused_url
from tasks.models import Task
from tasks.tests.factories import TaskFactory
from testing.commands import CommandResult, run_command, run_command_process
from testing.databases import database_copy, postgresql_database
from testing.identity_provider import AUDIENCE, ISSUER
from testing.python_processes import REQUIRED_SETTINGS, run_python
from testing.servers import running_service

ON_POSTGRESQL = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no such settings")

NOT_ASKED = ("unknown", "Not asked, because the database is not ready.", "")
MIB = 1024 * 1024

#: What PostgreSQL's and SQLite's good installations answer alike.
GOOD = {
    "settings": ("ok", "The settings fit together; AUTH_MODE is single-user.", ""),
    "database settings": ("ok", "Encoding, sessions and connections are as the service needs them.", ""),
    "migrations": ("ok", "The database has every migration of this release.", ""),
    "schema": ("ok", "The table of tasks has every constraint, index and trigger.", ""),
    "role": ("ok", "The role of DATABASE_URL fits DB_ROW_SECURITY=off.", ""),
    "clock": ("ok", "The clock agrees with the database.", ""),
    "provider": ("ok", "AUTH_MODE needs no identity provider.", ""),
    "proxy": ("ok", "HTTPS is off, and HOST is 127.0.0.1: only this machine can connect.", ""),
}
ORDER = (
    *("settings", "database", "database settings", "extensions", "migrations", "schema", "role", "clock"),
    *("static files", "provider", "proxy", "disk"),
)
NO_TRIGRAMS = (
    "warning",
    "pg_trgm is not installed, so a search reads all tasks of its user.",
    "If searches are slow, install postgresql-contrib, and run manage.py search_indexes.",
)


def static_paths():
    return [path for finder in finders.get_finders() for path, _ in finder.list([])]


@pytest.fixture
def installation(db, settings, tmp_path, monkeypatch):
    """Return the answers of a good installation by subject, and fix what depends on the machine."""
    settings.STATIC_ROOT = tmp_path
    collected = {path: path for path in static_paths()}
    (tmp_path / "staticfiles.json").write_text(json.dumps({"version": "1.1", "hash": "", "paths": collected}))
    monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("Usage", "free")(free=500 * MIB))
    version = ".".join(map(str, connection.get_database_version()))
    answers = {
        **GOOD,
        "database": ("ok", f"{connection.display_name} {version} answers.", ""),
        "static files": ("ok", f"All {len(collected)} static files are collected.", ""),
    }
    if connection.vendor == "sqlite":
        directory = Path(connection.settings_dict["NAME"]).parent
        answers |= {
            "extensions": ("ok", "SQLite needs no extension.", ""),
            "disk": ("ok", f"{directory} has 500 MiB of free space.", ""),
        }
    else:
        answers |= {
            "extensions": trigrams(),
            "disk": ("ok", "The tasks are in PostgreSQL; watch the disk of its server.", ""),
        }
    return {subject: answers[subject] for subject in ORDER}


def trigrams():
    """Return the answer about ``pg_trgm``, which some servers of the tests have."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'pg_trgm'")
        row = cursor.fetchone()
    return ("ok", f"pg_trgm {row[0]} is installed.", "") if row else NO_TRIGRAMS


def as_lines(answers):
    lines = []
    for subject, (state, finding, advice) in answers:
        lines += [f"{state.ljust(8)} {subject.ljust(17)}  {finding}", *([" " * 28 + advice] if advice else [])]
    states = [answer[0] for _, answer in answers]
    numbers = f"wrong: {states.count('wrong')}; warnings: {states.count('warning')}"
    return "".join(f"{line}\n" for line in (*lines, f"Answers: {len(answers)}; {numbers}"))


def result_of(answers):
    """Return what the command prints for these pairs of subject and answer, and its exit code."""
    wrong = [answer[0] for _, answer in answers].count("wrong")
    return CommandResult(as_lines(answers), f"CommandError: Wrong: {wrong}\n" if wrong else "", 1 if wrong else 0)


def expect(installation, **changes):
    """Check the whole output, which differs from a good installation's by ``changes``."""
    changed = {name.replace("_", " "): answer for name, answer in changes.items()}
    assert run_command("doctor") == result_of([*(installation | changed).items()])


# A good installation


def test_good_installation_has_no_advice(installation):
    expect(installation)


def test_good_installation_as_json(installation):
    result = run_command("doctor", "--json")
    assert (result.err, result.code) == ("", 0)
    names = ("state", "finding", "advice")
    assert json.loads(result.out) == {
        "wrong": 0,
        "warnings": [answer[0] for answer in installation.values()].count("warning"),
        "answers": [
            {"subject": name, **dict(zip(names, answer, strict=True))} for name, answer in installation.items()
        ],
    }


@pytest.mark.once
def test_process_of_its_own_shows_the_free_space(migrated_database):
    result = run_command_process(migrated_database, "doctor")
    assert re.fullmatch(r"ok +disk +/\S+ has \d+ MiB of free space\.", result.out.splitlines()[-2])


# Broken ones: settings


@pytest.mark.once
@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_settings_that_cannot_be_read_are_the_only_answer(arguments):
    process = run_python("manage.py", "doctor", *arguments, SECRET_KEY=REQUIRED_SETTINGS["SECRET_KEY"])
    finding = "The settings cannot be read."
    advice = (
        "Set AUTH_MODE=jwt for many users with tokens, or AUTH_MODE=single-user for one user “default” without tokens"
    )
    answer = {"subject": "settings", "state": "wrong", "finding": finding, "advice": advice}
    lines = f"wrong    settings  {finding}\n                   {advice}\nAnswers: 1; wrong: 1; warnings: 0\n"
    if arguments:
        assert json.loads(process.stdout) == {"wrong": 1, "warnings": 0, "answers": [answer]}
    else:
        assert process.stdout == lines
    assert (process.stderr, process.returncode) == ("", 1)


@ON_POSTGRESQL
def test_settings_that_do_not_fit_together_are_named(installation, settings):
    settings.DB_POOL_SIZE, settings.THREADS = 4, 4
    finding = "DB_POOL_SIZE is 4 and THREADS is 4: each thread and /readyz need a connection. (todo.E001)"
    expect(installation, settings=("wrong", finding, "Set DB_POOL_SIZE=5 or more."))


def test_short_secret_key_is_a_warning(installation, settings):
    settings.SECRET_KEY = "short"
    finding = (
        "Your SECRET_KEY has less than 50 characters, less than 5 unique characters, or it's prefixed with "
        "'django-insecure-' indicating that it was generated automatically by Django. Please generate a long and "
        "random value, otherwise many of Django's security-critical features will be vulnerable to attack. "
        "(security.W009)"
    )
    expect(installation, settings=("warning", finding, ""))


def test_open_single_user_mode_is_two_warnings(installation, settings):
    settings.HOST = "0.0.0.0"
    finding = (
        "AUTH_MODE is single-user and HOST is 0.0.0.0: every client that can connect can read and change every task. "
        "(todo.W001)"
    )
    advice = "Set HOST=127.0.0.1, or set API_TOKEN, or restrict the clients by a proxy or a firewall."
    expect(
        installation,
        settings=("warning", finding, advice),
        proxy=(
            "warning",
            "HTTPS is off, and HOST is 0.0.0.0: tokens and passwords travel in clear text.",
            "Put a proxy with TLS in front, and set HTTPS=on and THROTTLE_PROXIES=1: docs/deployment.md.",
        ),
    )


# Broken ones: the database


def pairs_of_process(url, **variables):
    process = run_python(
        "manage.py", "doctor", "--json", DATABASE_URL=url, DB_START_TIMEOUT="0", **REQUIRED_SETTINGS, **variables
    )
    report = json.loads(process.stdout)
    assert (process.stderr, process.returncode) == (f"CommandError: Wrong: {report['wrong']}\n", 1)
    return [(each["subject"], (each["state"], each["finding"], each["advice"])) for each in report["answers"]]


def without_database(finding, advice):
    """Return the answers of an installation without a usable database, except those about the machine."""
    unasked = dict.fromkeys(("database settings", "extensions", "migrations", "schema", "role", "clock"), NOT_ASKED)
    return {**GOOD, **unasked, "database": ("wrong", finding, advice)}


def without_machine(answers):
    return {name: answer for name, answer in answers.items() if name not in ("static files", "disk")}


@pytest.mark.once
def test_unavailable_database_leaves_the_other_answers():
    url, reason = refused_url()
    assert without_machine(dict(pairs_of_process(url))) == without_database(
        f"The database cannot be used: {reason}", "Start the database, or correct DATABASE_URL: docs/settings.md."
    )


@pytest.mark.once
def test_missing_file_of_sqlite_is_not_created(tmp_path):
    answers = dict(pairs_of_process(f"sqlite:///{tmp_path}/db.sqlite3"))
    assert without_machine(answers) == without_database(
        f"There is no database {tmp_path}/db.sqlite3.", "Run manage.py migrate, or correct DATABASE_URL."
    )
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif("config.getoption('database') != 'postgresql'", reason="a pooler refuses such settings")
def test_database_that_takes_no_writes_is_wrong(database_url):
    answers = dict(pairs_of_process(f"{database_url}&options=-c%20default_transaction_read_only%3Don"))
    assert without_machine(answers) == without_database(
        "The database takes no writes.", "Name the primary in DATABASE_URL: docs/operations.md, “Failover”."
    )


@ON_POSTGRESQL
def test_encoding_other_than_utf8_is_wrong():
    options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    with postgresql_database(os.environ["TEST_DATABASE_URL"], "template0", options) as url:
        pairs = pairs_of_process(url)
    encoding = (
        "wrong",
        "The database's encoding is LATIN1, so it cannot store every title. (todo.E002)",
        "Create a database with ENCODING 'UTF8' TEMPLATE template0, and move the tasks there.",
    )
    letter_case = (
        "warning",
        "The database's LC_CTYPE is C, so a search with q is case-sensitive for letters beyond ASCII. (todo.W003)",
        "Create a database with LOCALE 'C.UTF-8', or another UTF-8 locale, and move the tasks there.",
    )
    assert sorted(answer for subject, answer in pairs if subject == "database settings") == [letter_case, encoding]
    assert [dict(pairs)[name] for name in ("schema", "role", "clock")] == [NOT_ASKED] * 3


@ON_POSTGRESQL
@pytest.mark.parametrize(("name", "answer"), [("plpgsql", "pg_trgm 1.0 is installed."), ("none", NO_TRIGRAMS)])
def test_missing_extension_is_a_warning(installation, name, answer):
    def look_for_other(execute, sql, *rest):
        return execute(sql.replace("'pg_trgm'", f"'{name}'"), *rest)

    with connection.execute_wrapper(look_for_other):
        expect(installation, extensions=("ok", answer, "") if name == "plpgsql" else answer)


def test_missing_migration_is_named(installation):
    MigrationRecorder.Migration.objects.filter(app="throttling").delete()
    missing = (
        "wrong",
        "The database lacks the migration throttling.0001_window.",
        "Run manage.py migrate with the role that owns the tables.",
    )
    expect(installation, migrations=missing, schema=NOT_ASKED, role=NOT_ASKED, clock=NOT_ASKED)


def test_dropped_index_is_named(installation):
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX task_created")
    finding = "The table of tasks lacks task_created."
    expect(installation, schema=("wrong", finding, "Run manage.py verify_tasks --fix."))


def test_role_that_owns_the_tables_is_wrong_with_row_security(installation, settings):
    settings.DB_ROW_SECURITY, settings.ADMIN = True, False
    finding = "DB_ROW_SECURITY is on, but the role of DATABASE_URL owns the tables or bypasses row-level security."
    expect(
        installation,
        role=("wrong", finding, "Set DATABASE_URL to another role: docs/decisions/0010-row-security.md."),
    )


@pytest.mark.once
def test_missing_table_is_a_failure_of_the_database(migrated_database):
    with database_copy(migrated_database) as url:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as writer:
            writer.execute("DROP TABLE tasks_task")
        answers = dict(pairs_of_process(url))
    assert answers["clock"] == (
        "wrong",
        "The database failed: no such table: tasks_task",
        "Read the database's log.",
    )


# Broken ones: the clock


def test_task_of_the_future_tells_of_a_wrong_clock(installation):
    Task.objects.filter(id=TaskFactory().id).update(updated_at=datetime(2099, 1, 2, tzinfo=UTC))
    finding = "A task was written on 2099-01-02, which is in the future, so a clock is or was wrong."
    expect(installation, clock=("wrong", finding, "Let NTP set the clock, and run manage.py verify_tasks."))


@ON_POSTGRESQL
def test_other_clock_of_the_database_is_wrong(installation):
    finding = "The clocks of this machine and of the database differ by 90 s."
    with connection.execute_wrapper(with_fast_clock):
        expect(installation, clock=("wrong", finding, "Let NTP set the clocks of both machines."))


def with_fast_clock(execute, sql, *rest):
    """Run the statement as a database whose clock is 90 s ahead does."""
    return execute(sql.replace("clock_timestamp()", "clock_timestamp() + interval '90 s'"), *rest)


# Broken ones: static files, provider, disk


def test_uncollected_static_files_are_counted(installation, settings, tmp_path):
    (tmp_path / "staticfiles.json").unlink()
    number = len(static_paths())
    finding = f"{number} of {number} static files are not collected in {tmp_path}."
    missing = ("wrong", finding, "Run manage.py collectstatic --no-input, and restart the service.")
    expect(installation, static_files=missing)


def test_debug_needs_no_collected_static_files(installation, settings, tmp_path):
    (tmp_path / "staticfiles.json").unlink()
    settings.DEBUG = True
    lines = run_command("doctor").out.splitlines()
    assert "ok       static files       With DEBUG the service needs no collected files." in lines


@pytest.fixture
def jwt_settings(settings, provider, installation):
    settings.AUTH_MODE = "jwt"
    settings.JWT_JWKS_URL, settings.JWT_ISSUER, settings.JWT_AUDIENCE = provider.url, ISSUER, AUDIENCE
    return {**installation, "settings": ("ok", "The settings fit together; AUTH_MODE is jwt.", "")}


def test_provider_with_keys_is_good(jwt_settings, provider):
    expect(jwt_settings, provider=("ok", f"{provider.url} has a key that JWT_ALGORITHMS allows.", ""))


def test_provider_without_allowed_key_is_wrong(jwt_settings, provider, settings):
    settings.JWT_ALGORITHMS = ["RS256"]
    finding = f"{provider.url} has no key that JWT_ALGORITHMS allows, so every token is refused."
    expect(jwt_settings, provider=("wrong", finding, "Set JWT_ALGORITHMS to the algorithm of the provider's keys."))


def test_provider_that_fails_is_wrong(jwt_settings, provider):
    provider.answer_with(b"", status=500)
    finding = f"No keys from {provider.url}: status 500"
    expect(jwt_settings, provider=("wrong", finding, "Start the identity provider, or correct JWT_JWKS_URL."))


@pytest.mark.skipif("config.getoption('database') != 'sqlite'", reason="PostgreSQL has a disk of its own")
def test_full_disk_of_sqlite_is_wrong(installation, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("Usage", "free")(free=99 * MIB))
    finding = installation["disk"][1].replace("500", "99")
    advice = "Free at least 100 MiB, because a full disk refuses every write."
    expect(installation, disk=("wrong", finding, advice))


# Broken ones: the proxy


def test_hosts_of_this_machine_behind_a_proxy_are_wrong(installation, settings):
    settings.HTTPS, settings.ALLOWED_HOSTS, settings.THROTTLE_PROXIES = True, ["localhost", "[::1]"], 1
    settings.SECURE_HSTS_SECONDS, settings.SECURE_SSL_REDIRECT, settings.SESSION_COOKIE_SECURE = 9, True, True
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    finding = "ALLOWED_HOSTS has only names of this machine, so requests through the proxy get a 400."
    expect(installation, proxy=("wrong", finding, "Set ALLOWED_HOSTS to the host name that clients use."))
    settings.ALLOWED_HOSTS = ["todo.example.org"]
    finding = "The service trusts X-Forwarded-Proto and X-Forwarded-For, which the proxy must set itself."
    expect(installation, proxy=("ok", finding, ""))
    settings.THROTTLE_PROXIES = 0
    finding = "THROTTLE_PROXIES is 0 behind a proxy, so all clients without tokens count as one."
    advice = "Set THROTTLE_PROXIES to the number of proxies that set X-Forwarded-For, such as 1."
    expect(installation, proxy=("warning", finding, advice))


def ask(url):
    """Return the answer about a request to ``url``."""
    answers = json.loads(run_command("doctor", "--json", f"--url={url}").out)["answers"]
    assert [answer["subject"] for answer in answers] == [*ORDER, "request"]
    return tuple(answers[-1][name] for name in ("state", "finding", "advice"))


GOOD_REQUEST = ("ok", "{} leads to the service, with the headers that it needs.", "")
NOT_SECURE = ("wrong", "The service takes {} for http.", "Use https, and let the proxy set X-Forwarded-Proto.")


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(("https", "answer"), [("off", GOOD_REQUEST), ("on", NOT_SECURE)])
def test_request_to_the_service_tells_of_the_headers(database_url, https, answer):
    with running_service(database_url, WORKERS="1", HTTPS=https) as server:
        assert ask(server.url) == tuple(text.format(server.url) for text in answer)


class StandIn(BaseHTTPRequestHandler):
    """A server that answers with ``status``, and as this service does with the request id."""

    status, returns_id = 200, True

    def do_GET(self):
        self.send_response(self.status)
        if self.returns_id:
            self.send_header("X-Request-ID", self.headers["X-Request-ID"])
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def stand_in(**attributes):
    with HTTPServer(("127.0.0.1", 0), type("Handler", (StandIn,), attributes)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


RESPONSES = {
    "401": ({"status": 401}, GOOD_REQUEST),
    "400": (
        {"status": 400},
        (
            "wrong",
            "The service refuses the Host of {}.",
            "Let the proxy pass Host on, and add its name to ALLOWED_HOSTS.",
        ),
    ),
    "503": ({"status": 503}, ("wrong", "{} answers with 503.", "Look for the reason in the log of the service.")),
    "other service": (
        {"returns_id": False},
        (
            "wrong",
            "The response of {} is not from this service, or the proxy drops X-Request-ID.",
            "Configure the proxy as deploy/nginx.conf is.",
        ),
    ),
}


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(("attributes", "answer"), RESPONSES.values(), ids=RESPONSES)
def test_response_tells_what_the_proxy_does(attributes, answer):
    with stand_in(**attributes) as url:
        assert ask(url) == tuple(text.format(url) for text in answer)


@pytest.mark.usefixtures("installation")
def test_missing_response_is_wrong():
    with stand_in() as url:
        pass
    assert ask(url) == (
        "wrong",
        f"No response from {url}: [Errno 111] Connection refused",
        "Start the proxy, or correct --url.",
    )


@pytest.mark.once
def test_control_characters_of_a_response_are_escaped(installation):
    with stand_in(protocol_version="HTTP/1.1 \x1b[31m") as url:
        result = run_command("doctor", f"--url={url}")
    finding = f"No response from {url}: HTTP/1.1 \\u001b[31m 200 OK"
    answer = ("wrong", finding, "Start the proxy, or correct --url.")
    assert result == result_of([*installation.items(), ("request", answer)])


def idna_fault(host):
    """Return Python's message, which differs between versions."""
    with pytest.raises(UnicodeError) as caught:
        host.encode("idna")
    return str(caught.value)


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://todo.example.org:99999", "Port out of range 0-65535"),
        ("http://todo..org", idna_fault("todo..org")),
    ],
    ids=["port", "host"],
)
def test_url_that_nobody_can_have_is_wrong(url, reason):
    assert ask(url) == ("wrong", f"No response from {url}: {reason}", "Start the proxy, or correct --url.")


def test_url_with_a_path_is_refused():
    result = run_python("manage.py", "doctor", "--url=https://todo.example.org/api", **REQUIRED_SETTINGS)
    reason = "argument --url: must be a URL without path, such as https://todo.example.org"
    assert (result.stderr.splitlines()[-1], result.returncode) == (f"manage.py doctor: error: {reason}", 2)
