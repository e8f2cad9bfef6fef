"""Actions that send tasks as a file."""

import csv
import json
import re
from io import StringIO

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections

from tasks.admin import export_actions
from tasks.models import Task
from tasks.tests.admin.admin_pages import log_entries, run_action, run_action_on_all
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

CSV = "text/csv; charset=utf-8"
JSON_LINES = "application/jsonl; charset=utf-8"


def read_export(response, content_type):
    assert response.status_code == 200
    assert response.headers["Content-Type"] == content_type
    assert re.fullmatch(
        r'attachment; filename="tasks-\d{4}-\d\d-\d\d-\d{6}\.\w+"', response.headers["Content-Disposition"]
    )
    return response.getvalue().decode()


def read_rows(text):
    return list(csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline="")))


def test_json_lines_are_the_tasks_of_the_api(admin_client, as_user, tasks):
    lines = read_export(run_action(admin_client, "export_jsonl", tasks.values()), JSON_LINES).splitlines()
    live = [as_user.get(f"/api/tasks/{tasks[title].pk}").content.decode() for title in ("open", "completed")]
    assert lines[:2] == live
    trashed = json.loads(lines[2])
    assert trashed["title"] == "Trashed"
    assert list(trashed) == [*Task.PUBLIC_FIELDS, "deleted_at"]
    assert [summary for summary, _ in log_entries()] == ["3 tasks exported"]


def test_csv_has_the_same_values_in_columns(admin_client):
    task = TaskFactory(title="Buy “milk”, bread", description='Two\nlitres of "it"', completed=True)
    TaskFactory(title="Trashed", trashed=True)
    text = read_export(run_action_on_all(admin_client, "export_csv"), CSV)
    assert text.startswith("\ufeff" + ",".join((*Task.PUBLIC_FIELDS, "deleted_at")) + "\r\n")
    [row, trashed] = read_rows(text)
    assert {name: row[name] for name in ("id", "title", "description", "completed", "version", "deleted_at")} == {
        "id": str(task.id),
        "title": "Buy “milk”, bread",
        "description": 'Two\nlitres of "it"',
        "completed": "true",
        "version": "1",
        "deleted_at": "",
    }
    assert row["created_at"] == row["updated_at"] == f"{task.created_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert trashed["deleted_at"].endswith("Z")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\n", "'"])
@pytest.mark.parametrize("column", ["title", "description", "user_id"])
def test_csv_cell_is_never_a_formula(admin_client, start, column):
    text = f"{start}HYPERLINK(1)"
    if column == "title":
        text = text.strip()
    task = TaskFactory(**{column: text})
    [row] = read_rows(read_export(run_action(admin_client, "export_csv", [task]), CSV))
    assert row[column] == (text if text[0] == "H" else f"'{text}")


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
@pytest.mark.parametrize("action", ["export_csv", "export_jsonl"])
def test_any_batch_size_gives_the_same_file(admin_client, monkeypatch, action, batch_size):
    TaskFactory.create_batch(3)
    expected = run_action_on_all(admin_client, action).getvalue()
    monkeypatch.setattr(export_actions, "BATCH_SIZE", batch_size)
    assert run_action_on_all(admin_client, action).getvalue() == expected


def test_export_of_all_keeps_to_the_filter(admin_client, tasks):
    content = run_action_on_all(admin_client, "export_jsonl", query="?where=trash").getvalue()
    assert [json.loads(line)["title"] for line in content.splitlines()] == ["Trashed"]
    assert run_action_on_all(admin_client, "export_jsonl", query="?q=nothing").getvalue() == b""


def test_viewer_can_export(as_member, tasks):
    text = read_export(run_action(as_member("viewer"), "export_csv", tasks.values()), CSV)
    assert [row["title"] for row in read_rows(text)] == ["Open", "Completed", "Trashed"]


def test_interrupted_export_logs_how_many_tasks_were_read(admin_client, monkeypatch):
    monkeypatch.setattr(export_actions, "BATCH_SIZE", 1)
    TaskFactory.create_batch(3)
    response = run_action_on_all(admin_client, "export_jsonl")
    assert [summary for summary, _ in log_entries()] == ["Tasks exported"]
    # Without this, the end of the request would end the test's transaction.
    request_finished.disconnect(close_old_connections)
    response.close()
    request_finished.connect(close_old_connections)
    assert [summary for summary, _ in log_entries()] == ["1 task exported"]
