"""Every request of ``bad_requests.py`` is refused as it says there, whole, and nothing is written.

By Django, asked as its own test client asks it, and by the running server, over a socket.
"""

import json
import re
from datetime import datetime
from io import BytesIO
from urllib.parse import unquote_to_bytes
from uuid import UUID

import pytest
from django.test import RequestFactory
from uuid_utils.compat import uuid7

from tasks.tests.api.bad_requests import BAD_REQUESTS, STUMBLING_BLOCKS
from tasks.tests.api.contract import (
    ALLOWED_ON_LIST,
    ALLOWED_ON_RESTORE,
    ALLOWED_ON_TASK,
    ALLOWED_ON_TOGGLE,
    ALLOWED_ON_TRASH,
    ALLOWED_ON_TRASHED,
    TITLES,
    allowed,
    headers,
    moment,
    problem_headers,
)
from tasks.tests.factories import TaskFactory
from testing import servers
from testing.raw_http import exchange, response
from todo_project.tests.bad_protocol import message
from todo_project.wsgi import application

pytestmark = pytest.mark.django_db

LOCATIONS = {"pointer": "{}", "parameter": "?{}", "header": "{}"}


@pytest.fixture
def ids():
    """The tasks that the paths name, and one more."""
    TaskFactory(completed=True)
    return {
        "task": TaskFactory().id,
        "trashed": TaskFactory(trashed=True).id,
        "foreign": TaskFactory(foreign=True).id,
        "absent": uuid7(),
    }


def environ(row, path):
    """What WSGI makes of a request, byte for byte: nothing is sent that the row does not name."""
    path, _, query = path.partition("?")
    request = {
        "REQUEST_METHOD": row.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "wsgi.input": BytesIO(row.body),
    }
    if row.body:
        request["CONTENT_LENGTH"] = str(len(row.body))
    for name, value in row.headers.items():
        variable = name.upper().replace("-", "_")
        request[variable if variable == "CONTENT_TYPE" else f"HTTP_{variable}"] = value
    return request


def allowed_on(path):
    route = path.partition("?")[0].rstrip("/")
    match route.removeprefix("/api/tasks").split("/")[1:]:
        case []:
            return ALLOWED_ON_LIST
        case ["trash"]:
            return ALLOWED_ON_TRASH
        case ["trash", _]:
            return ALLOWED_ON_TRASHED
        case [_, "toggle"]:
            return ALLOWED_ON_TOGGLE
        case [_, "restore"]:
            return ALLOWED_ON_RESTORE
        case [_]:
            return ALLOWED_ON_TASK


def located(errors):
    """Where each fault is, as a row says it."""
    for fault in errors:
        assert set(fault) == {"code", "detail"} | (set(fault) & set(LOCATIONS))
        [place] = set(fault) & set(LOCATIONS)
        yield LOCATIONS[place].format(fault[place])


def assert_refused(row, path, status, content_type, body):
    assert status == row.status
    assert content_type == "application/problem+json"
    problem = json.loads(body)
    members = {"type", "title", "status", "detail", "instance", "code"}
    assert set(problem) == (members | {"errors"} if row.errors else members)
    assert problem["code"] == row.code
    assert problem["type"] == f"/problems/{row.code}"
    assert (problem["status"], problem["title"]) == TITLES[row.code]
    assert problem["status"] == row.status
    assert problem["instance"] == path.partition("?")[0]
    assert tuple(located(problem.get("errors", []))) == row.errors
    if row.errors:
        assert problem["detail"] == problem["errors"][0]["detail"]
    assert re.fullmatch(r"[A-Z][^\n]*[^.\s]", problem["detail"])


def assert_refused_by_the_api(row, answer):
    assert headers(answer) == problem_headers(**({"ETag": '"1"'} if row.status == 412 else {}))
    assert UUID(answer.headers["X-Request-ID"]).version == 7
    if row.status == 405:
        assert allowed(answer) == allowed_on(row.path)


@pytest.mark.parametrize("row", BAD_REQUESTS, ids=lambda row: row.name[:60])
def test_a_bad_request_is_refused(as_user, stored, ids, row):
    path = row.path.format(**ids)
    before = stored()
    answer = as_user.request(**environ(row, path))
    assert_refused(row, path, answer.status_code, answer["Content-Type"], answer.content)
    assert_refused_by_the_api(row, answer)
    assert stored() == before


# The application closes the database connection of a request, which a test's own transaction would not outlive.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("row", STUMBLING_BLOCKS, ids=lambda row: row.name)
def test_what_django_stumbles_over_is_refused_all_the_same(stored, ids, row):
    path = row.path.format(**ids)
    before = stored()
    answer = {}

    def start_response(status, response_headers, exc_info=None):
        answer.update(status=int(status.split()[0]), headers=dict(response_headers))

    request = RequestFactory()._base_environ(**environ(row, path))
    body = b"".join(application(request, start_response))
    assert_refused(row, path, answer["status"], answer["headers"]["Content-Type"], body)
    assert stored() == before


@pytest.fixture(scope="module")
def served_ids(server, database_url, tmp_path_factory):
    """The same as ``ids``, in the running server's database."""
    ids = {name: uuid7() for name in ("task", "trashed", "foreign", "absent")}
    tasks = [
        TaskFactory.build(id=ids["task"]),
        TaskFactory.build(id=ids["trashed"], trashed=True),
        TaskFactory.build(id=ids["foreign"], foreign=True),
    ]
    file = tmp_path_factory.mktemp("tasks") / "tasks.jsonl"
    file.write_text("".join(map(line, tasks)))
    servers.run("manage.py", "import_tasks", str(file), DATABASE_URL=database_url)
    return ids


def line(task):
    columns = {name: value for name, value in task.columns().items() if value is not None}
    return f"{json.dumps(columns, default=written)}\n"


def written(value):
    return moment(value) if isinstance(value, datetime) else str(value)


def lists(server):
    return server.get("/api/tasks"), server.get("/api/tasks/trash")


@pytest.fixture(scope="module")
def untouched(server, served_ids):
    return lists(server)


#: granian answers CONNECT itself: ``bad_protocol.py``.
SERVED = [row for row in (*BAD_REQUESTS, *STUMBLING_BLOCKS) if row.method != "CONNECT"]


def sent(row, path):
    """The request on the wire."""
    head = {"Host": "localhost", "Connection": "close", **row.headers}
    if row.body:
        head["Content-Length"] = len(row.body)
    lines = (f"{name}: {value}" for name, value in head.items())
    return message(f"{row.method} {path} HTTP/1.1", *lines, body=row.body)


@pytest.mark.parametrize("row", SERVED, ids=lambda row: row.name[:60])
def test_the_running_server_refuses_it_alike(server, served_ids, untouched, row):
    path = row.path.format(**served_ids)
    answer, body = response(exchange(server, sent(row, path)))
    assert_refused(row, path, answer.status, answer.getheader("Content-Type"), body)
    assert_refused_by_the_api(row, answer)
    assert lists(server) == untouched


def test_no_row_stands_twice():
    assert len({row.name for row in BAD_REQUESTS}) == len(BAD_REQUESTS)
    assert len({str(row[1:]) for row in BAD_REQUESTS}) == len(BAD_REQUESTS)


@pytest.mark.parametrize("code", {code for code, (status, _) in TITLES.items() if status != 401})
def test_every_problem_of_a_client_has_a_row(code):
    assert code in {row.code for row in BAD_REQUESTS}
