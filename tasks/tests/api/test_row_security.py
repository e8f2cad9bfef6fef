"""Row-level security: what a statement without a filter shows to the role of the service."""

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
from django.utils import timezone

from changes.epoch import renew_epoch_of_copy
from changes.models import Epoch, Forgotten, Removal
from database.row_security import is_active, rows_of
from idempotency.models import KEPT_FOR, PURGED_AT_ONCE, KeptResponse
from idempotency.statements import purge
from idempotency.tests.factories import KeptResponseFactory
from tasks.models import Task
from tasks.tests.api.contract import JSON, task_path
from tasks.tests.api.test_random_walk import Walk, clients, walk
from tasks.tests.factories import TaskFactory
from testing.commands import CommandResult, run_command
from testing.horizon import wait_for_open_writes
from testing.identity_provider import AUDIENCE, ISSUER
from testing.pgbouncer import running_pgbouncer
from testing.ports import HOST
from testing.python_processes import python_output
from testing.servers import running_service
from todo_project.management.commands.serve import expire_states_of_other_database, refuse_wrong_role

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        "postgresql" not in project.DATABASES["default"]["ENGINE"], reason="SQLite has no row-level security"
    ),
]

__all__ = ["clients"]

WEB_ROLE = (project.BASE_DIR / "deploy" / "web_role.sql").read_text()


@contextmanager
def web():
    """Take the role of the service, which the test's transaction drops at its end."""
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


def test_statement_without_user_finds_no_row(two_tasks):
    with web():
        assert list(Task.objects.all()) == []
        assert Task.objects.change(title="Mine") == 0
        assert Task.objects.all().remove() == 0
    assert sorted(Task.objects.values_list("user_id", "title", "version")) == [
        (task.user_id, task.title, 1) for task in two_tasks
    ]


def test_statement_of_user_finds_only_own_rows(two_tasks):
    alices, _ = two_tasks
    with web(), rows_of("alice"):
        assert list(Task.objects.all()) == [alices]
        assert Task.objects.change(title="Mine") == 1
        assert Task.objects.all().remove() == 1
    assert [task.user_id for task in Task.objects.all()] == ["bob"]


def test_purge_with_one_key_deletes_ten_responses(web_role):
    """PostgreSQL may run a subquery of ``IN`` once for each row of the table."""
    KeptResponseFactory.create_batch(89, user_id="alice", created_at=timezone.now() - 2 * KEPT_FOR)
    with web():
        purged = purge.fetch(user_id="alice", until=timezone.now() - KEPT_FOR)
    assert (len(purged), KeptResponse.objects.count()) == (PURGED_AT_ONCE, 89 - PURGED_AT_ONCE)


def test_statement_within_rows_of_same_user_adds_none(two_tasks):
    def read_users(user_id):
        with CaptureQueriesContext(connection) as queries, rows_of(user_id):
            users = [task.user_id for task in Task.objects.all()]
        return users, len(queries)

    with web(), rows_of("alice"):
        assert read_users("alice") == (["alice"], 1)
        assert read_users("bob") == (["bob"], 4)  # SAVEPOINT, set_config, SELECT, RELEASE
        assert read_users("alice") == (["alice"], 4)


def test_task_for_other_user_is_refused_by_database(two_tasks):
    with web(), rows_of("alice"):
        for write in (TaskFactory.build(user_id="bob").save, lambda: Task.objects.change(user_id="bob")):
            with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
                write()
    assert Task.objects.count() == 2


def test_kept_responses_are_hidden_from_other_users(client_of, web_role):
    client = client_of("alice")
    with web():
        made = client.post("/api/tasks", {"title": "a"}, JSON, headers={"Idempotency-Key": "one"})
        again = client.post("/api/tasks", {"title": "a"}, JSON, headers={"Idempotency-Key": "one"})
        assert (made.status_code, again.content) == (201, made.content)
        with rows_of("bob"):
            assert KeptResponse.objects.count() == 0
        with rows_of("alice"):
            assert KeptResponse.objects.count() == 1


def test_id_of_other_user_in_new_task_is_refused(client_of, two_tasks):
    """The database hides the other user's task, but not the conflict of its id."""
    client, (_, bobs) = client_of("alice"), two_tasks
    with web():
        put = client.put(task_path(bobs), {"title": "a"}, JSON, headers={"If-None-Match": "*"})
        operation = {"op": "create", "id": str(bobs.id), "task": {"title": "a"}}
        bulk = client.post("/api/tasks/bulk", [operation, {"op": "create", "task": {"title": "b"}}], JSON)
        made = client.post("/api/tasks/bulk", [{"op": "create", "task": {"title": "b"}}], JSON)
    assert (put.status_code, "ETag" in put.headers, bulk.status_code, made.status_code) == (412, False, 412, 200)
    assert list(Task.objects.filter(title__in="ab").values_list("user_id", "title")) == [("alice", "b")]


class WebWalk(Walk):
    """The random walk with the role of the service."""

    def ask(self, *request):
        with web():
            return super().ask(*request)


@pytest.mark.usefixtures("clients", "web_role")
def test_random_walk_with_row_security_passes():
    walk(WebWalk, examples=3)


@pytest.mark.usefixtures("clients", "web_role", "no_owner")
def test_random_walk_without_owner_filter_passes():
    """Without row-level security too the walk fails: test_control_without_owner_filter_walk_fails."""
    walk(WebWalk, examples=3)


def test_role_that_owns_tables_has_no_row_security():
    assert is_active("tasks_task") is False
    TaskFactory(user_id="alice")
    with CaptureQueriesContext(connection) as queries, rows_of("bob"):
        assert Task.objects.count() == 1
    assert len(queries) == 1


def test_server_with_role_of_owner_does_not_start(settings):
    settings.DB_ROW_SECURITY = True
    with pytest.raises(CommandError) as refusal:
        refuse_wrong_role()
    assert str(refusal.value) == (
        "DB_ROW_SECURITY is on, but the role of DATABASE_URL owns the tables or bypasses row-level security; set "
        "DATABASE_URL to another role: docs/decisions/0010-row-security.md"
    )


def test_server_with_setting_off_and_web_role_does_not_start(settings, web_role):
    settings.DB_ROW_SECURITY = False
    with web(), pytest.raises(CommandError) as refusal:
        refuse_wrong_role()
    assert str(refusal.value) == (
        "Row-level security hides all tasks from the role of DATABASE_URL; set DB_ROW_SECURITY=on"
    )


def test_server_with_web_role_starts(web_role):
    with web():
        refuse_wrong_role()


def test_server_with_web_role_refuses_restored_database(web_role):
    Epoch.objects.update(fingerprint="another database")
    with web(), pytest.raises(CommandError) as refusal:
        expire_states_of_other_database()
    assert str(refusal.value) == (
        "The database was restored or copied; run manage.py migrate with the role that owns the tables"
    )
    renew_epoch_of_copy()
    with web():
        expire_states_of_other_database()


def test_removals_are_hidden_from_other_users(two_tasks):
    alices, _ = two_tasks
    with web():
        with rows_of("alice"):
            assert Task.objects.all().remove() == 1
            assert [removal.row_id for removal in Removal.objects.all()] == [alices.id]
        with rows_of("bob"):
            assert not Removal.objects.exists()
    Removal.objects.all().delete()
    Forgotten.objects.create(user_id="alice", change_number=1, row_id=alices.id)
    with web(), rows_of("bob"):
        assert not Forgotten.objects.exists()


# The running service, whose role logs in


@pytest.fixture(scope="module")
def web_url(database_url, pytestconfig):
    """Make a role for the service, and return its URL, which leads through PgBouncer if the suite does."""
    role = f"web_{uuid4().hex}"
    python_output("manage.py", "migrate", "--verbosity=0", DATABASE_URL=database_url)  # the database is a copy
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
            address = f"{HOST}:{stack.enter_context(running_pgbouncer(host, port, role=role))}"
        yield parts._replace(netloc=f"{role}:web@{address}").geturl()
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {role}")
        owner.execute(f"DROP ROLE {role}")


def test_user_id_is_set_for_one_transaction(web_url, database_url):
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


def client_with(server, token):
    """Return a function that sends a user's requests, and returns the status and the JSON of the response."""

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


def test_service_with_web_role_serves_users(web_url, provider):
    jwt = {"AUTH_MODE": "jwt", "JWT_JWKS_URL": provider.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
    row_security = {"DB_ROW_SECURITY": "on", "ADMIN": "off"}
    with running_service(web_url, THROTTLE_WRITE="100/day", WORKERS="1", **row_security, **jwt) as server:
        alice, bob = (client_with(server, f"Bearer {provider.token(user)}") for user in ("alice", "bob"))
        status, task = alice("POST", "/api/tasks", {"title": "a"}, {"Idempotency-Key": "one"})
        assert status == 201
        assert alice("POST", "/api/tasks", {"title": "a"}, {"Idempotency-Key": "one"}) == (201, task)
        path = f"/api/tasks/{task['id']}"
        for _ in range(10):
            assert alice("GET", "/api/tasks") == (200, [task])
            assert bob("GET", "/api/tasks") == (200, [])
            assert bob("DELETE", path)[0] == 404
        assert alice("POST", f"{path}/toggle")[0] == 200
        wait_for_open_writes()
        assert [change["id"] for change in alice("GET", "/api/tasks/changes")[1]["changes"]] == [task["id"]]
        assert bob("GET", "/api/tasks/changes")[1]["changes"] == []
        assert alice("DELETE", path)[0] == 200
        for path in ("/admin", "/admin/", "/admin/login/"):
            status, problem = alice("POST", path, {"username": "olga"}, {"Cookie": "sessionid=aaaaaaaa"})
            assert (status, problem["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "command", ["export_tasks", "verify_tasks", "purge_trash", "task_stats", "purge_idempotency_keys"]
)
def test_command_with_web_role_is_refused(two_tasks, command):
    with web():
        assert run_command(command) == CommandResult(
            "",
            "CommandError: The role of DATABASE_URL sees no tasks; set DATABASE_URL to the role that owns the tables: "
            "docs/decisions/0010-row-security.md\n",
            2,
        )
