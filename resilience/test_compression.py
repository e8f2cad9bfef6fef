"""Compression by the proxy: of lists and the OpenAPI document, and of no response with an ``ETag``."""

import gzip
from contextlib import closing
from http.client import HTTPConnection

import pytest

from resilience.instances import serve_behind_nginx
from resilience.operations import insert_tasks
from testing.api_clients import RecordingClient, create_task
from testing.ports import HOST

#: Compression as most guides configure it.
USUAL_COMPRESSION = {"    gzip off;\n": "    gzip on;\n"}


@pytest.fixture
def run_session(database_url):
    """Return a function that changes a task twice.

    The function returns status, ``ETag`` and encoding of each response.
    """

    def run_session(replacements=None):
        records = []

        def send(method, path, body=None, **headers):
            records.append(client.send(method, path, body, Accept_Encoding="gzip", **headers))
            return records[-1].headers.get("etag", "")

        serving = serve_behind_nginx(database_url, replacements, WORKERS="1")
        with serving as (port, _), RecordingClient(port) as client:
            send("POST", "/api/tasks", {"title": "Buy milk"}, Idempotency_Key="a")
            send("POST", "/api/tasks", {"title": "Buy milk"}, Idempotency_Key="a")
            path = records[0].headers["location"]
            tag = send("GET", path)
            send("PATCH", path, {"title": "Buy bread"}, If_Match=tag)
            send("PATCH", path, {"title": "Buy bread"}, If_Match=tag)
            tag = send("GET", path)
            send("GET", path, If_None_Match=tag)
            send("POST", f"{path}/toggle", If_Match=tag)
        return [
            (record.status, record.headers.get("etag"), record.headers.get("content-encoding")) for record in records
        ]

    return run_session


def test_session_with_gzip_and_if_match_succeeds(run_session, report_result):
    responses = run_session()
    report_result(responses)
    assert responses == [
        (201, '"1"', None),
        (201, '"1"', None),
        (200, '"1"', None),
        (200, '"2"', None),
        (412, '"2"', None),
        (200, '"2"', None),
        (304, '"2"', None),
        (200, '"3"', None),
    ]


def test_control_without_exclusion_of_etags_if_match_fails(run_session, report_result):
    responses = run_session(USUAL_COMPRESSION)
    report_result(responses)
    assert responses == [
        (201, '"1"', None),
        (201, '"1"', None),
        (200, 'W/"1"', "gzip"),
        (412, '"1"', None),
        (412, '"1"', None),
        (200, 'W/"1"', "gzip"),
        (304, '"1"', None),
        (412, '"1"', None),
    ]


def receive(port, path, **headers):
    """Return the headers and the body of a GET as sent."""
    with closing(HTTPConnection(HOST, port, timeout=10)) as connection:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        assert response.status == 200
        return response.headers, response.read()


def test_lists_and_schema_are_compressed(postgresql, database_name, database_url, report_result):
    insert_tasks(postgresql, database_name, 10_000)
    with serve_behind_nginx(database_url, WORKERS="1") as (port, _):
        with RecordingClient(port) as client:
            client.send("DELETE", create_task(client))
        for path, accept in [
            ("/api/tasks", "application/json"),
            ("/api/tasks/?limit=20", "*/*"),
            ("/api/tasks/trash", "*/*"),
            ("/api/schema", "*/*"),
            ("/api/schema/", "application/json"),
        ]:
            _, plain = receive(port, path, Accept=accept)
            headers, compressed = receive(port, path, Accept=accept, Accept_Encoding="gzip")
            report_result(f"{path}: {len(plain)} bytes, compressed {len(compressed)}")
            assert (headers["Content-Encoding"], headers["ETag"]) == ("gzip", None)
            assert "Accept-Encoding" in ", ".join(headers.get_all("Vary"))
            assert gzip.decompress(compressed) == plain
