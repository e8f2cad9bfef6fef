"""HAProxy sends each user to one cell: a stack with its own database."""

from collections import Counter
from contextlib import ExitStack
from hashlib import sha256
from http.client import HTTPConnection

import pytest

from resilience.haproxy import CELLS, run_haproxy
from resilience.instances import ONE_MACHINE
from rest.problems.types import PROBLEMS
from testing.api_clients import RecordingClient, count_statuses
from testing.identity_provider import AUDIENCE, ISSUER
from testing.ports import HOST, free_port
from testing.servers import running_service

USERS = [f"user-{number}" for number in range(12)]

#: The codes of the problems for values of ``Authorization`` that name no user.
AUTHORIZATIONS = {
    "Bearer x.y.z": "authentication_failed",
    "bearer  e30.e30.e30": "authentication_failed",
    "Bearer": "not_authenticated",
    "Basic YTpi": "not_authenticated",
}
CHALLENGES = {"not_authenticated": "Bearer", "authentication_failed": 'Bearer error="invalid_token"'}


def map_key(user):
    """Return the key of a user in the map of moved users."""
    return sha256(user.encode()).hexdigest()


def server_lines(cell):
    return f"    server app1 10.0.{cell}.11:8001\n    server app2 10.0.{cell}.12:8001\n"


@pytest.fixture(scope="module")
def four_cells():
    """Yield HAProxy with four cells, each of which answers with its name."""
    answer = "    http-request return status 200 content-type text/plain string {}\n"
    with run_haproxy(CELLS, {server_lines(cell): answer.format(f"cell{cell}") for cell in range(4)}) as proxy:
        yield proxy


@pytest.fixture
def cell_of(four_cells, provider):
    """Return a function that returns the body of the cell to which HAProxy sends a token."""
    connection = HTTPConnection(HOST, four_cells.port)

    def cell_of(user, scheme="Bearer", **claims):
        connection.request("GET", "/", headers={"Authorization": f"{scheme} {provider.token(user, **claims)}"})
        return connection.getresponse().read().decode()

    yield cell_of
    connection.close()


def test_1000_users_are_spread_evenly_over_four_cells(cell_of, report_result):
    users = Counter(cell_of(f"user-{number}") for number in range(1000))
    report_result(dict(users))
    assert users.keys() == {"cell0", "cell1", "cell2", "cell3"}
    assert min(users.values()) > 200


def test_user_reaches_same_cell_with_each_token(cell_of):
    for user in USERS:
        cells = {cell_of(user), cell_of(user, scheme="bearer"), cell_of(user, iat=1), cell_of(user, name='"sub":"x"')}
        assert len(cells) == 1


def test_moved_user_reaches_cell_of_map(four_cells, cell_of):
    user = next(user for user in USERS if cell_of(user) != "cell2")
    four_cells.command(f"add map {four_cells.home}/moved_users.map {map_key(user)} cell2")
    assert cell_of(user) == "cell2"


def test_user_of_unknown_cell_gets_503(four_cells, cell_of):
    four_cells.command(f"add map {four_cells.home}/moved_users.map {map_key('nobody')} cell9")
    assert '"code":"service_unavailable"' in cell_of("nobody")


@pytest.fixture
def two_stacks(postgresql, provider):
    """Yield HAProxy in front of two stacks with a database each, and the names of the databases."""
    names = ["scenario_cell0", "scenario_cell1"]
    jwt = {"AUTH_MODE": "jwt", "JWT_JWKS_URL": provider.url, "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
    with ExitStack() as stack:
        addresses = {"mod(4)": "mod(2)"}
        for cell, name in enumerate(names):
            url = postgresql.copy_database("template_todo", name)
            server = stack.enter_context(running_service(url, **ONE_MACHINE, **jwt))
            addresses[f"10.0.{cell}.11:8001"] = addresses[f"10.0.{cell}.12:8001"] = f"{HOST}:{server.port}"
        for cell in (2, 3):
            addresses[f"10.0.{cell}.11:8001"] = addresses[f"10.0.{cell}.12:8001"] = f"{HOST}:{free_port()}"
        yield stack.enter_context(run_haproxy(CELLS, addresses)), names


def test_each_user_is_in_exactly_one_of_two_stacks(two_stacks, postgresql, provider, report_result):
    proxy, names = two_stacks

    def send(user, method, path, body=None):
        return client.send(method, path, body, Authorization=f"Bearer {provider.token(user)}")

    with RecordingClient(proxy.port) as client:
        created = [send(user, "POST", "/api/tasks", {"title": user}) for user in 2 * USERS]
        lists = [[task["title"] for task in send(user, "GET", "/api/tasks").body] for user in USERS]
    assert count_statuses(created) == {201: 24}
    assert lists == [[user, user] for user in USERS]
    query = "SELECT DISTINCT user_id FROM tasks_task"
    first, second = ({user for (user,) in postgresql.execute(query, name)} for name in names)
    report_result(f"{len(first)} and {len(second)} users")
    assert (first & second, first | second) == (set(), set(USERS))
    assert min(len(first), len(second)) > 0


def test_request_without_valid_token_gets_401(two_stacks):
    proxy, _ = two_stacks
    with RecordingClient(proxy.port) as client:
        refusals = {value: client.send("GET", "/api/tasks", Authorization=value) for value in AUTHORIZATIONS}
        refusals["none"] = client.send("GET", "/api/tasks")
    for value, refusal in refusals.items():
        code = AUTHORIZATIONS.get(value, "not_authenticated")
        assert (refusal.status, refusal.headers["www-authenticate"]) == (401, CHALLENGES[code])
        assert refusal.body == {
            "type": f"/problems/{code}",
            "title": PROBLEMS[code].title,
            "status": 401,
            "detail": PROBLEMS[code].default_detail,
            "instance": "/api/tasks",
            "code": code,
        }
