"""Apps that work offline end with the server's tasks: RxDB, and the client of docs/synchronising.md.

``make test-e2e`` installs RxDB, which needs Node 20 or newer.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from threading import Timer
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from testing.api_clients import RecordingClient
from testing.databases import database_copy, sqlite_path
from testing.late_commits import NUMBER_BY_SEQUENCE, running_service_with_pauses
from testing.pgbouncer import running_pgbouncer
from testing.ports import HOST
from testing.python_processes import python_output
from testing.servers import running_service

HERE = Path(__file__).parent
GUIDE = HERE.parent / "docs" / "synchronising.md"
WRITING, PATIENCE = 12, 30
CONTROL_WRITING, CONTROL_PATIENCE = 8, 4
GUIDE_WRITING = 6
#: One write of five pauses up to 300 ms.
PAUSES = (0.2, 0.3)

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="NOT TESTED WITH RXDB: install Node"),
    pytest.mark.skipif(
        not (HERE / "node_modules" / "rxdb").exists(),
        reason="NOT TESTED WITH RXDB: run make test-e2e, which installs RxDB",
    ),
]

ON_POSTGRESQL = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="PgBouncer is for PostgreSQL")

#: Numbers by the clock when the request arrived, before SQLite's lock.
NUMBER_BY_ARRIVAL = """
DROP TRIGGER tasks_task_change_insert;
DROP TRIGGER tasks_task_change_update;
CREATE TRIGGER tasks_task_change_insert AFTER INSERT ON tasks_task
BEGIN UPDATE tasks_task SET change_number = control_number() WHERE id = NEW.id; END;
CREATE TRIGGER tasks_task_change_update AFTER UPDATE ON tasks_task WHEN NEW.change_number = OLD.change_number
BEGIN UPDATE tasks_task SET change_number = control_number() WHERE id = NEW.id; END;
"""


@pytest.fixture
def database_url(migrated_database):
    with database_copy(migrated_database) as url:
        yield url


@pytest.fixture(params=["direct", pytest.param("pgbouncer", marks=ON_POSTGRESQL)])
def server(request, database_url):
    """Serve the project with delayed commits, directly on the database or through PgBouncer."""
    if request.param == "direct":
        with running_service_with_pauses(database_url, *PAUSES) as server:
            yield server
        return
    parts = urlsplit(database_url)
    [host] = parse_qs(parts.query)["host"]
    with running_pgbouncer(host) as port:
        url = f"postgresql://postgres@{HOST}:{port}{parts.path}"
        with running_service_with_pauses(url, *PAUSES, DB_POOLER="transaction") as server:
            yield server


def run_node(command, input=None, **variables):
    """Run a program in Node, and return its answer."""
    output = subprocess.run(
        ["node", *command],
        cwd=HERE,
        env={**os.environ, **variables},
        input=json.dumps(input).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(output.stdout)


def write_at_random(module, server, writing, patience, **variables):
    """Let three clients write; return each client's tasks, the server's tasks, and the summed counts."""
    command = ["random_writes.mjs", module, f"{server.url}/api/tasks", str(writing), str(patience)]
    answer = run_node(command, **variables)
    stored = sorted(json.loads(server.get("/api/tasks")[1]), key=itemgetter("id"))
    counts = {name: sum(client[name] for client in answer["counts"]) for name in answer["counts"][0]}
    return answer["tasks"], stored, counts


def expire_states(url):
    python_output("manage.py", "expire_states", DATABASE_URL=url)


def test_rxdb_clients_end_equal_to_server(server, database_url):
    """The states expire during the writes, so that the clients also start again."""
    expiry = Timer(WRITING / 2, expire_states, [database_url])
    expiry.start()
    clients, stored, counts = write_at_random("rxdb_client.mjs", server, WRITING, PATIENCE)
    expiry.join()
    assert clients == [stored] * 3
    assert counts["restarted"] >= 3
    assert all(counts[name] > 20 for name in ("created", "changed", "deleted", "conflicts")), counts
    assert counts["retried"] == 0


def number_before_write(url):
    """Replace the numbers of the feed by those of usual designs."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url))) as connection:
            connection.executescript(NUMBER_BY_ARRIVAL)
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(NUMBER_BY_SEQUENCE)


def test_control_with_early_numbers_clients_end_unequal(database_url):
    number_before_write(database_url)
    with running_service_with_pauses(database_url, *PAUSES) as server:
        clients, stored, _ = write_at_random("rxdb_client.mjs", server, CONTROL_WRITING, CONTROL_PATIENCE)
    assert clients != [stored] * 3


@pytest.fixture
def guide(tmp_path):
    """Return the file with the JavaScript of the guide."""
    path = tmp_path / "tasks.mjs"
    path.write_text("\n".join(re.findall(r"^```js\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)))
    return str(path)


def test_guide_clients_end_equal_to_server(server, guide):
    clients, stored, counts = write_at_random("guide_client.mjs", server, GUIDE_WRITING, PATIENCE, CLIENT=guide)
    assert clients == [stored] * 3
    assert all(counts[name] > 5 for name in ("created", "changed", "deleted", "conflicts")), counts


class GuideClient:
    """A client of the guide, which stores all that it knows between two runs."""

    def __init__(self, url, guide):
        self.url, self.guide, self.store = f"{url}/api/tasks", guide, {}
        self.run()

    def run(self, *steps):
        """Run steps, and return the methods and statuses of the requests."""
        order = {"url": self.url, "store": self.store, "steps": steps}
        answer = run_node(["guide_steps.mjs"], order, CLIENT=self.guide)
        self.store, self.new_id = answer["store"], answer["id"]
        return [tuple(request) for request in answer["requests"]]

    def tasks(self):
        return {key: (task["title"], task["version"], task["state"]) for key, task in self.store["tasks"].items()}


@pytest.fixture
def service(database_url):
    with running_service(database_url, WORKERS="1") as server:
        yield server


@pytest.fixture
def app(service, guide):
    return GuideClient(service.url, guide)


@pytest.fixture
def other(service):
    """Return another client of the service."""
    with RecordingClient(service.port) as client:
        yield client


def create_and_synchronise(app, title="Buy milk"):
    """Create a task with the client of the guide, and return its id and its path."""
    key = app.new_id
    assert app.run(["create", key, {"title": title}], ["synchronise"]) == [("PUT", 201), ("GET", 200)]
    return key, f"/api/tasks/{key}"


def test_guide_client_with_lost_answers_writes_once(app, other):
    key = app.new_id
    assert app.run(["create", key, {"title": "Buy milk"}], ["lose"]) == [("PUT", 201)]
    requests = app.run(["change", key, {"title": "Buy tea"}], ["synchronise"])
    assert requests == [("PUT", 412), ("GET", 200), ("PATCH", 200), ("GET", 200)]
    assert app.tasks() == {key: ("Buy tea", 2, "live")}

    assert app.run(["change", key, {"title": "Buy salt"}], ["lose"]) == [("PATCH", 200)]
    requests = app.run(["change", key, {"title": "Buy rice"}], ["synchronise"])
    assert requests == [("PATCH", 412), ("GET", 200), ("PATCH", 200), ("PATCH", 200), ("GET", 200)]
    assert app.tasks() == {key: ("Buy rice", 5, "live")}

    assert app.run(["delete", key], ["lose"]) == [("DELETE", 200)]
    assert app.run(["synchronise"]) == [("DELETE", 404), ("GET", 200)]
    assert app.tasks() == {key: ("Buy rice", 6, "trashed")}
    other.send("DELETE", f"/api/tasks/trash/{key}")
    app.run(["synchronise"])
    assert (app.tasks(), app.store["outbox"]) == ({}, [])


def test_guide_client_keeps_changes_of_others(app, other):
    key, path = create_and_synchronise(app)
    other.send("PATCH", path, {"title": "Theirs", "priority": "high", "labels": {"theirs": True}})
    changes = {"title": "Mine", "description": "Mine", "labels": {"mine": True}}
    requests = app.run(["change", key, changes], ["synchronise"])
    assert requests == [("PATCH", 412), ("GET", 200), ("PATCH", 200), ("GET", 200)]
    task = other.send("GET", path).body
    assert (task["title"], task["priority"], task["description"]) == ("Theirs", "high", "Mine")
    assert task["labels"] == {"mine": True, "theirs": True}
    assert app.store["tasks"] == {key: {**task, "state": "live"}}


def test_guide_client_deletes_no_task_that_was_changed(app, other):
    key, path = create_and_synchronise(app)
    other.send("PATCH", path, {"title": "Theirs"})
    assert app.run(["delete", key], ["synchronise"]) == [("DELETE", 412), ("GET", 200), ("GET", 200)]
    assert (app.tasks(), app.store["outbox"]) == ({key: ("Theirs", 2, "live")}, [])


def test_guide_client_of_deleted_task_drops_its_writes(app, other):
    key, path = create_and_synchronise(app)
    other.send("DELETE", path)
    steps = (["change", key, {"title": "Mine"}], ["delete", key], ["synchronise"])
    assert app.run(*steps) == [("PATCH", 404), ("DELETE", 404), ("GET", 200)]
    assert (app.tasks(), app.store["outbox"]) == ({key: ("Buy milk", 2, "trashed")}, [])


RESTORE = """
from changes.models import Removal
from tasks.models import Task
Task.objects.filter(title="Lost").delete()
Removal.objects.all().delete()
Task.objects.update(title="Older", version=1)
"""


def test_guide_client_after_restore_has_older_tasks(app, other, database_url):
    create_and_synchronise(app, "Lost")
    key, _ = create_and_synchronise(app)
    app.run(["change", key, {"title": "Newer"}], ["synchronise"])
    python_output("manage.py", "shell", "--verbosity=0", "-c", RESTORE, DATABASE_URL=database_url)
    expire_states(database_url)
    assert app.run(["synchronise"]) == [("GET", 410), ("GET", 200)]
    assert app.tasks() == {key: ("Older", 1, "live")}
