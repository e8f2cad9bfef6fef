"""Row-level security: what a statement without a filter shows to the role that the service has."""

import json
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings as project
from django.core.management import CommandError
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from database.row_security import is_active, rows_of
from idempotency.models import KeptResponse
from tasks.models import Task
from tasks.tests.api.contract import JSON
from tasks.tests.api.test_random_walk import USERS, Walk, walk
from tasks.tests.factories import TaskFactory
from testing.commands import Ended, run
from testing.identity_provider import AUDIENCE, ISSUER
from testing.pgbouncer import pgbouncer
from testing.servers import HOST, served
from todo_project.management.commands.serve import refuse_other_row_security

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("postgresql" not in project.DATABASES["default"]["ENGINE"], reason="SQLite has no such thing"),
]

WEB_ROLE = (project.BASE_DIR / "deploy" / "web_role.sql").read_text()


@contextmanager
def web():
    """As the role of the service, which is gone with the test's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE web_of_the_tests")
        yield
        cursor.execute("RESET ROLE")


@pytest.fixture
def web_role(settings):
    settings.DB_ROW_SECURITY = True
    with connection.cursor() as cursor:
        cursor.execute(WEB_ROLE.replace("todo_web", "web_of_the_tests"))


@pytest.fixture
def two_tasks(web_role):
    return TaskFactory(user_id="alice"), TaskFactory(user_id="bob")


def test_a_statement_of_nobody_finds_nothing(two_tasks):
    with web():
        assert list(Task.objects.all()) == []
        assert Task.objects.change(title="Mine") == []
        assert Task.objects.all().remove() == []
    assert sorted(Task.objects.values_list("user_id", "title", "version")) == [
        (task.user_id, task.title, 1) for task in two_tasks
    ]


def test_a_statement_of_somebody_finds_what_is_theirs(two_tasks):
    alices, _ = two_tasks
    with web(), rows_of("alice"):
        assert list(Task.objects.all()) == [alices]
        assert [task.id for task in Task.objects.change(title="Mine")] == [alices.id]
        assert [task.id for task in Task.objects.all().remove()] == [alices.id]
    assert [task.user_id for task in Task.objects.all()] == ["bob"]


def test_nobody_can_make_or_give_a_task_for_another(two_tasks):
    with web(), rows_of("alice"):
        for write in (TaskFactory.build(user_id="bob").save, lambda: Task.objects.change(user_id="bob")):
            with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
                write()
    assert Task.objects.count() == 2


def test_responses_that_are_kept_are_their_owners_too(client_of, web_role):
    client = client_of("alice")
    with web():
        made = client.post("/api/tasks", {"title": "a"}, JSON, headers={"Idempotency-Key": "one"})
        again = client.post("/api/tasks", {"title": "a"}, JSON, headers={"Idempotency-Key": "one"})
        assert (made.status_code, again.content) == (201, made.content)
        with rows_of("bob"):
            assert KeptResponse.objects.count() == 0
        with rows_of("alice"):
            assert KeptResponse.objects.count() == 1


def test_the_walk_with_both_floors(client_of, web_role, monkeypatch):
    monkeypatch.setattr(Walk, "clients", {user: client_of(user) for user in USERS})
    walk(WebWalk, examples=5)


@pytest.mark.usefixtures("no_owner")
def test_the_walk_with_the_filter_taken_out_and_this_floor_alone(client_of, web_role, monkeypatch):
    """What the same walk notices without this floor: test_the_walk_notices_a_filter_that_is_forgotten."""
    monkeypatch.setattr(Walk, "clients", {user: client_of(user) for user in USERS})
    walk(WebWalk, examples=5)


class WebWalk(Walk):
    def ask(self, *request):
        with web():
            return super().ask(*request)


def test_it_is_off_where_the_role_owns_the_tables():
    assert is_active() is False
    TaskFactory(user_id="alice")
    with CaptureQueriesContext(connection) as queries, rows_of("bob"):
        assert Task.objects.count() == 1
    assert len(queries) == 1


def test_the_server_refuses_a_role_that_the_policy_does_not_bind(settings):
    settings.DB_ROW_SECURITY = True
    with pytest.raises(CommandError) as refusal:
        refuse_other_row_security()
    assert str(refusal.value) == (
        "DB_ROW_SECURITY is on, and the role of DATABASE_URL owns the tables or bypasses it; set DATABASE_URL to a "
        "role of its own: docs/decisions/0010-row-security.md"
    )


def test_the_server_refuses_a_role_that_would_see_no_tasks(settings, web_role):
    settings.DB_ROW_SECURITY = False
    with web(), pytest.raises(CommandError) as refusal:
        refuse_other_row_security()
    assert str(refusal.value) == "The role of DATABASE_URL sees no tasks by itself; set DB_ROW_SECURITY=on"


def test_the_server_takes_a_role_that_the_policy_binds(web_role):
    with web():
        refuse_other_row_security()


# The service as it runs, with a role that has to log in.


@pytest.fixture(scope="module")
def web_url(database_url, pytestconfig):
    """As the role of the service; behind a pooler, one that logs in with that role."""
    role = f"web_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(WEB_ROLE.replace("todo_web", role))
        owner.execute(f"ALTER ROLE {role} PASSWORD 'web'")
        host, port = owner.execute(
            "SELECT current_setting('unix_socket_directories'), current_setting('port')::int"
        ).fetchone()
    parts = urlsplit(database_url)
    with ExitStack() as stack:
        address = parts.netloc.rpartition("@")[2]
        if pytestconfig.getoption("database") == "pgbouncer":
            address = f"{HOST}:{stack.enter_context(pgbouncer(host, port, role=role))}"
        yield parts._replace(netloc=f"{role}:web@{address}").geturl()
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {role}")
        owner.execute(f"DROP ROLE {role}")


def test_a_user_is_named_for_one_transaction(web_url, database_url):
    with psycopg.connect(database_url, autocommit=True) as owner, psycopg.connect(web_url) as pooled:
        owner.execute(
            "INSERT INTO tasks_task (id, user_id, title, description, completed, created_at, updated_at, version) "
            "VALUES ('019bac10-5b00-7000-8000-000000000000', 'carol', 'x', '', false, now(), now(), 1)"
        )
        for user_id, seen in (("carol", 1), ("dave", 0)):
            pooled.execute("SELECT set_config('todo.user_id', %s, true)", [user_id])
            assert pooled.execute("SELECT count(*) FROM tasks_task").fetchone() == (seen,)
            pooled.commit()
            assert pooled.execute("SELECT count(*) FROM tasks_task").fetchone() == (0,)
            pooled.rollback()
        assert owner.execute("SELECT count(*) FROM tasks_task").fetchone() == (1,)


def person(server, token):
    """Status and JSON of the answers to one user."""

    def ask(method, path, body=None, headers=None):
        http = HTTPConnection(HOST, server.port, timeout=10)
        with closing(http):
            sent = {"Content-Type": JSON} if body else {}
            http.request(
                method, path, json.dumps(body) if body else None, {"Authorization": token, **sent, **(headers or {})}
            )
            response = http.getresponse()
            return response.status, json.loads(response.read())

    return ask


def test_the_service_with_a_role_of_its_own(web_url, provider):
    jwt = {"AUTH_MODE": "jwt", "JWT_JWKS_URL": provider.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
    with served(web_url, DB_ROW_SECURITY="on", THROTTLE_WRITE="100/day", WORKERS="1", **jwt) as server:
        alice, bob = (person(server, f"Bearer {provider.token(user)}") for user in ("alice", "bob"))
        status, task = alice("POST", "/api/tasks", {"title": "a"}, {"Idempotency-Key": "one"})
        assert status == 201
        assert alice("POST", "/api/tasks", {"title": "a"}, {"Idempotency-Key": "one"}) == (201, task)
        path = f"/api/tasks/{task['id']}"
        for _ in range(10):
            assert alice("GET", "/api/tasks") == (200, [task])
            assert bob("GET", "/api/tasks") == (200, [])
            assert bob("DELETE", path)[0] == 404
        assert alice("POST", f"{path}/toggle")[0] == 200
        assert alice("DELETE", path)[0] == 200


@pytest.mark.parametrize(
    "command", ["export_tasks", "verify_tasks", "purge_trash", "task_stats", "purge_idempotency_keys"]
)
def test_a_command_does_not_take_no_tasks_for_all_of_them(two_tasks, command):
    with web():
        assert run(command) == Ended(
            "",
            "CommandError: The role of DATABASE_URL sees no tasks; set DATABASE_URL to the role that owns the tables: "
            "docs/decisions/0010-row-security.md\n",
            2,
        )
