"""The questions of ``manage.py doctor`` about this installation. A question changes nothing."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core import checks
from django.core.files.storage import storages
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, connection
from django.db import Error as DatabaseError
from django.db.models import Max
from django.utils import timezone

from commands.answers import Answer, State
from database.connections import find_missing_migration
from database.errors import first_line
from identity.key_set import download, read_keys
from tasks.maintenance.verification import verify_schema
from tasks.models import Task
from tasks.rules import CLOCK_SKEW
from todo_project.checks import LOOPBACK_HOSTS, read_setting
from todo_project.management.commands.serve import refuse_wrong_role

#: Django's warnings about HTTPS=off name settings that an operator cannot set; ``ask_proxy`` asks instead.
HTTPS_CHECKS = frozenset({"security.W004", "security.W008", "security.W010"})

#: The most that the clocks of this machine and of PostgreSQL may differ.
MOST_DIFFERENCE = timedelta(seconds=5)

#: Enough for SQLite's log while the operator makes room.
LEAST_FREE_BYTES = 100 * 1024 * 1024

#: How long the provider and the proxy may take, in seconds.
RESPONSE_SECONDS = 5

MIB = 1024 * 1024


def diagnose(url: str | None = None) -> Iterator[Answer]:
    """Ask every question. Skip those about the database or its tables if these are missing.

    Args:
        url: the address that clients use, for a request through the proxy.
    """
    yield from ask_settings()
    database = ask_database()
    yield database
    migrations = ask_if_usable("migrations", ask_migrations, database)
    yield from ask_if_usable("database settings", ask_database_settings, database)
    yield from ask_if_usable("extensions", ask_extensions, database)
    yield from migrations
    yield from ask_if_usable("schema", ask_schema, database, *migrations)
    yield from ask_if_usable("role", ask_role, database, *migrations)
    yield from ask_if_usable("clock", ask_clock, database, *migrations)
    for question in (ask_static_files, ask_provider, ask_proxy, ask_disk):
        yield from question()
    if url:
        yield Answer("request", *describe_response(url))


def ask_if_usable(subject: str, question: Callable[[], Iterator[Answer]], *before: Answer) -> list[Answer]:
    """Return the answers to a question about the database.

    If an answer ``before`` is wrong or unknown, skip the question.
    """
    if any(answer.state in {State.WRONG, State.UNKNOWN} for answer in before):
        return [Answer(subject, State.UNKNOWN, "Not asked, because the database is not ready.")]
    try:
        return [*question()]
    except DatabaseError as error:
        return [Answer(subject, State.WRONG, f"The database failed: {first_line(error)}", "Read the database's log.")]


def ask_settings() -> Iterator[Answer]:
    """Run Django's and the project's system checks, those for a deployment too."""
    messages = checks.run_checks(include_deployment_checks=True)
    ignored = frozenset() if settings.HTTPS else HTTPS_CHECKS
    found = [message for message in messages if not message.is_silenced() and message.id not in ignored]
    yield from describe_messages("settings", found)
    if not found:
        yield Answer("settings", State.OK, f"The settings fit together; AUTH_MODE is {settings.AUTH_MODE}.")


def describe_messages(subject: str, messages: list[checks.CheckMessage]) -> Iterator[Answer]:
    """Yield an answer for each message of a system check."""
    for message in messages:
        state = State.WRONG if message.is_serious() else State.WARNING
        yield Answer(subject, state, f"{message.msg} ({message.id})", message.hint or "")


def ask_database() -> Answer:
    """Ask whether the database answers, is new enough and takes writes."""
    advice = "Start the database, or correct DATABASE_URL: docs/settings.md."
    try:
        if is_missing_file():
            finding = f"There is no database {connection.settings_dict['NAME']}."
            return Answer("database", State.WRONG, finding, "Run manage.py migrate, or correct DATABASE_URL.")
        connection.ensure_connection()
        version = ".".join(map(str, connection.get_database_version()))
        if connection.vendor == "postgresql" and read_setting("transaction_read_only") == "on":
            advice = "Name the primary in DATABASE_URL: docs/operations.md, “Failover”."
            return Answer("database", State.WRONG, "The database takes no writes.", advice)
    except DatabaseError as error:
        return Answer("database", State.WRONG, f"The database cannot be used: {first_line(error)}", advice)
    return Answer("database", State.OK, f"{connection.display_name} {version} answers.")


def is_missing_file() -> bool:
    """Tell whether the database is a file that does not exist, because SQLite would create an empty file."""
    if connection.vendor != "sqlite" or connection.is_in_memory_db():  # type: ignore[attr-defined]
        return False
    return not Path(connection.settings_dict["NAME"]).is_file()


def ask_database_settings() -> Iterator[Answer]:
    """Run the system checks of the database: its encoding, letter case, sessions and connections."""
    messages = checks.run_checks(tags=[checks.Tags.database], databases=[DEFAULT_DB_ALIAS])
    yield from describe_messages("database settings", messages)
    if not messages:
        yield Answer("database settings", State.OK, "Encoding, sessions and connections are as the service needs them.")


def ask_extensions() -> Iterator[Answer]:
    """Ask for ``pg_trgm``, whose indexes make searches fast."""
    if connection.vendor != "postgresql":
        yield Answer("extensions", State.OK, "SQLite needs no extension.")
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'pg_trgm'")
        row = cursor.fetchone()
    if row:
        yield Answer("extensions", State.OK, f"pg_trgm {row[0]} is installed.")
    else:
        finding = "pg_trgm is not installed, so a search reads all tasks of its user."
        advice = "If searches are slow, install postgresql-contrib, and run manage.py search_indexes."
        yield Answer("extensions", State.WARNING, finding, advice)


def ask_migrations() -> Iterator[Answer]:
    """Ask for a migration of the code that the database lacks."""
    if missing := find_missing_migration():
        finding = f"The database lacks the migration {missing}."
        yield Answer("migrations", State.WRONG, finding, "Run manage.py migrate with the role that owns the tables.")
    else:
        yield Answer("migrations", State.OK, "The database has every migration of this release.")


def ask_schema() -> Iterator[Answer]:
    """Ask for parts of the table of tasks that somebody dropped."""
    if findings := verify_schema():
        finding = f"The table of tasks lacks {', '.join(finding.name for finding in findings)}."
        yield Answer("schema", State.WRONG, finding, "Run manage.py verify_tasks --fix.")
    else:
        yield Answer("schema", State.OK, "The table of tasks has every constraint, index and trigger.")


def ask_role() -> Iterator[Answer]:
    """Ask whether the role of ``DATABASE_URL`` matches ``DB_ROW_SECURITY``."""
    try:
        refuse_wrong_role()
    except CommandError as error:
        finding, _, advice = str(error).partition("; ")
        yield Answer("role", State.WRONG, f"{finding}.", f"{advice[:1].upper()}{advice[1:]}.")
    else:
        on = "on" if settings.DB_ROW_SECURITY else "off"
        yield Answer("role", State.OK, f"The role of DATABASE_URL fits DB_ROW_SECURITY={on}.")


def ask_clock() -> Iterator[Answer]:
    """Compare this machine's clock with PostgreSQL's, and with the newest write."""
    difference = abs(database_time() - timezone.now())
    newest = Task.objects.aggregate(newest=Max("updated_at"))["newest"]
    if difference > MOST_DIFFERENCE:
        finding = f"The clocks of this machine and of the database differ by {difference.total_seconds():.0f} s."
        yield Answer("clock", State.WRONG, finding, "Let NTP set the clocks of both machines.")
    elif newest and newest > timezone.now() + CLOCK_SKEW:
        finding = f"A task was written on {newest:%Y-%m-%d}, which is in the future, so a clock is or was wrong."
        yield Answer("clock", State.WRONG, finding, "Let NTP set the clock, and run manage.py verify_tasks.")
    else:
        yield Answer("clock", State.OK, "The clock agrees with the database.")


def database_time() -> datetime:
    """Return the time of PostgreSQL's clock; SQLite uses this machine's clock."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [time] = cursor.fetchone()
    return time  # type: ignore[no-any-return]


def ask_static_files() -> Iterator[Answer]:
    """Ask whether ``collectstatic`` has collected every file of this release."""
    if settings.DEBUG:
        yield Answer("static files", State.OK, "With DEBUG the service needs no collected files.")
        return
    collected = storages.create_storage(settings.STORAGES["staticfiles"]).hashed_files  # type: ignore[attr-defined]
    files = [path for finder in finders.get_finders() for path, _ in finder.list([])]
    missing = [path for path in files if path not in collected]
    if missing:
        finding = f"{len(missing)} of {len(files)} static files are not collected in {settings.STATIC_ROOT}."
        yield Answer(
            "static files", State.WRONG, finding, "Run manage.py collectstatic --no-input, and restart the service."
        )
    else:
        yield Answer("static files", State.OK, f"All {len(files)} static files are collected.")


def ask_provider() -> Iterator[Answer]:
    """Fetch the keys of the identity provider."""
    if settings.AUTH_MODE != "jwt":
        yield Answer("provider", State.OK, "AUTH_MODE needs no identity provider.")
        return
    url = settings.JWT_JWKS_URL
    try:
        kids = {kid for kid, _ in read_keys(download(url, RESPONSE_SECONDS))}
    except (OSError, HTTPException, ValueError) as error:
        finding = f"No keys from {url}: {error}"
        yield Answer("provider", State.WRONG, finding, "Start the identity provider, or correct JWT_JWKS_URL.")
        return
    if kids:
        yield Answer("provider", State.OK, f"{url} has a key that JWT_ALGORITHMS allows.")
    else:
        finding = f"{url} has no key that JWT_ALGORITHMS allows, so every token is refused."
        yield Answer("provider", State.WRONG, finding, "Set JWT_ALGORITHMS to the algorithm of the provider's keys.")


def ask_proxy() -> Iterator[Answer]:
    """Ask whether the settings about proxies and their headers fit together."""
    if not settings.HTTPS:
        yield ask_without_https()
        return
    local = {*LOOPBACK_HOSTS, "[::1]"}
    if set(settings.ALLOWED_HOSTS) <= local:
        finding = "ALLOWED_HOSTS has only names of this machine, so requests through the proxy get a 400."
        yield Answer("proxy", State.WRONG, finding, "Set ALLOWED_HOSTS to the host name that clients use.")
    if not settings.THROTTLE_PROXIES:
        finding = "THROTTLE_PROXIES is 0 behind a proxy, so all clients without tokens count as one."
        advice = "Set THROTTLE_PROXIES to the number of proxies that set X-Forwarded-For, such as 1."
        yield Answer("proxy", State.WARNING, finding, advice)
    elif not set(settings.ALLOWED_HOSTS) <= local:
        finding = "The service trusts X-Forwarded-Proto and X-Forwarded-For, which the proxy must set itself."
        yield Answer("proxy", State.OK, finding)


def ask_without_https() -> Answer:
    """Ask who can reach a service without TLS."""
    if settings.HOST in LOOPBACK_HOSTS:
        return Answer("proxy", State.OK, f"HTTPS is off, and HOST is {settings.HOST}: only this machine can connect.")
    finding = f"HTTPS is off, and HOST is {settings.HOST}: tokens and passwords travel in clear text."
    advice = "Put a proxy with TLS in front, and set HTTPS=on and THROTTLE_PROXIES=1: docs/deployment.md."
    return Answer("proxy", State.WARNING, finding, advice)


def describe_response(url: str) -> tuple[State, str, str]:
    """Send a request as a client does, and tell from the response which headers the proxy sets."""
    request_id = f"doctor-{uuid4()}"
    try:
        status, returned_id = send_request(url, request_id)
    except (OSError, HTTPException, ValueError) as error:  # a ValueError is about the host or the port
        return State.WRONG, f"No response from {url}: {str(error).strip()}", "Start the proxy, or correct --url."
    if returned_id != request_id:
        finding = f"The response of {url} is not from this service, or the proxy drops X-Request-ID."
        return State.WRONG, finding, "Configure the proxy as deploy/nginx.conf is."
    if status == HTTPStatus.BAD_REQUEST:
        finding = f"The service refuses the Host of {url}."
        return State.WRONG, finding, "Let the proxy pass Host on, and add its name to ALLOWED_HOSTS."
    if status == HTTPStatus.FORBIDDEN:
        finding = f"The service takes {url} for http."
        return State.WRONG, finding, "Use https, and let the proxy set X-Forwarded-Proto."
    if status in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}:
        return State.OK, f"{url} leads to the service, with the headers that it needs.", ""
    return State.WRONG, f"{url} answers with {status}.", "Look for the reason in the log of the service."


def send_request(url: str, request_id: str) -> tuple[int, str | None]:
    """Count the tasks at ``url`` without a token, and return status and request id of the response."""
    parts = urlsplit(url)
    connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with closing(connection_class(parts.hostname or "", parts.port, timeout=RESPONSE_SECONDS)) as client:
        client.request("GET", "/api/tasks/count", headers={"X-Request-ID": request_id})
        response = client.getresponse()
        return response.status, response.headers["X-Request-ID"]


def ask_disk() -> Iterator[Answer]:
    """Ask for room on the disk of SQLite; the disk of PostgreSQL belongs to its server."""
    if connection.vendor != "sqlite":
        yield Answer("disk", State.OK, "The tasks are in PostgreSQL; watch the disk of its server.")
        return
    directory = Path(connection.settings_dict["NAME"]).parent
    free = shutil.disk_usage(directory).free
    finding = f"{directory} has {free // MIB} MiB of free space."
    if free < LEAST_FREE_BYTES:
        advice = f"Free at least {LEAST_FREE_BYTES // MIB} MiB, because a full disk refuses every write."
        yield Answer("disk", State.WRONG, finding, advice)
    else:
        yield Answer("disk", State.OK, finding)
