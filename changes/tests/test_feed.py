"""The change feed of tasks: what it has, in which order, and in pages."""

import psycopg
import pytest
from django.conf import settings as project
from django.db import connection, transaction
from uuid_utils.compat import uuid7

from changes.models import BEGINNING
from tasks.api.statements import changes
from tasks.models import Task
from tasks.tests.api.contract import headers, json_headers
from tasks.tests.factories import SOMEBODY_ELSE, TaskFactory
from testing.horizon import wait_for_open_writes

pytestmark = pytest.mark.django_db(transaction=True)

on_postgresql = pytest.mark.skipif(
    "postgresql" not in project.DATABASES["default"]["ENGINE"], reason="SQLite has one writer at a time"
)


def shown(client, task):
    """Return a task's change, with what its own endpoint answers."""
    trash = "trash/" if task.deleted_at else ""
    response = client.get(f"/api/tasks/{trash}{task.id}")
    return {"id": str(task.id), "state": "trashed" if trash else "live", "task": response.json()}


def removed(task):
    return {"id": str(task.id), "state": "removed", "task": None}


def execute(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def test_first_feed_has_live_and_trashed_tasks(client, changes_since):
    tasks = [TaskFactory(), TaskFactory(trashed=True), TaskFactory()]
    TaskFactory(foreign=True)
    page = changes_since()
    assert page == {"changes": [shown(client, task) for task in tasks], "state": page["state"], "more": False}


def test_task_in_feed_is_text_of_its_own_endpoint(client):
    task = TaskFactory(description='"\\ü\n')
    wait_for_open_writes()
    response = client.get("/api/tasks/changes")
    own = client.get(f"/api/tasks/{task.id}").content.decode()
    state = response.json()["state"]
    assert response.content.decode() == (
        f'{{"changes":[{{"id":"{task.id}","state":"live","task":{own}}}],"state":"{state}","more":false}}'
    )


def test_feed_has_headers_of_every_answer(client):
    assert headers(client.get("/api/tasks/changes")) == json_headers()


def test_feed_of_nobody_is_empty_and_keeps_state(changes_since):
    page = changes_since()
    assert page == {"changes": [], "state": page["state"], "more": False}
    assert changes_since(page["state"]) == page


def test_feed_since_state_has_only_later_changes(client, changes_since, current_state):
    TaskFactory()
    task = TaskFactory()
    state = current_state()
    client.post(f"/api/tasks/{task.id}/toggle")
    page = changes_since(state)
    assert page["changes"] == [shown(client, task)]
    assert page["changes"][0]["task"]["version"] == 2
    assert changes_since(page["state"]) == {"changes": [], "state": page["state"], "more": False}


def test_state_stays_while_others_write(changes_since, current_state):
    TaskFactory()
    state = current_state()
    TaskFactory(foreign=True)
    Task.objects.owned_by(SOMEBODY_ELSE).change(completed=True)
    assert changes_since(state)["state"] == state


def test_task_that_changed_often_comes_once(client, changes_since, current_state):
    task = TaskFactory()
    state = current_state()
    for _ in range(3):
        client.post(f"/api/tasks/{task.id}/toggle")
    assert [change["task"]["version"] for change in changes_since(state)["changes"]] == [4]


def test_trash_and_restore_are_in_feed(client, changes_since, current_state):
    task = TaskFactory()
    state = current_state()
    client.delete(f"/api/tasks/{task.id}")
    page = changes_since(state)
    task.refresh_from_db()
    assert page["changes"] == [shown(client, task)]
    client.post(f"/api/tasks/{task.id}/restore")
    task.refresh_from_db()
    assert changes_since(page["state"])["changes"] == [shown(client, task)]


REMOVALS = {
    "api": lambda client, task: client.delete(f"/api/tasks/trash/{task.id}"),
    "queryset": lambda client, task: Task.objects.all().remove(),
    "sql": lambda client, task: execute("DELETE FROM tasks_task"),
    "other owner": lambda client, task: Task.objects.change(user_id=SOMEBODY_ELSE),
    "other id and owner": lambda client, task: Task.objects.update(id=uuid7(), user_id=SOMEBODY_ELSE),
}


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
def test_removed_task_is_in_feed(client, changes_since, current_state, remove):
    task = TaskFactory(trashed=True)
    state = current_state()
    remove(client, task)
    page = changes_since(state)
    assert page["changes"] == [removed(task)]
    assert changes_since(page["state"])["changes"] == []


WRITES = {
    "sql": lambda task: execute("UPDATE tasks_task SET completed = NOT completed, completed_at = NULL"),
    "queryset": lambda task: Task.objects.change(title="By a command"),
    "copy": lambda task: Task.objects.insert([TaskFactory.build()]),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_write_past_api_is_in_feed(changes_since, current_state, write):
    task = TaskFactory()
    Task.objects.filter(id=task.id).toggle()
    state = current_state()
    write(task)
    assert len(changes_since(state)["changes"]) == 1


def test_given_task_is_removed_for_one_and_live_for_other(client_of, changes_since, current_state):
    alice, bob = client_of("alice"), client_of("bob")
    task = TaskFactory(user_id="alice")
    states = current_state(client=alice), current_state(client=bob)
    Task.objects.change(user_id="bob")
    first = changes_since(states[0], alice)
    assert first["changes"] == [removed(task)]
    assert changes_since(states[1], bob)["changes"] == [shown(bob, task)]
    Task.objects.change(user_id="alice")
    assert changes_since(first["state"], alice)["changes"] == [shown(alice, task)]
    assert changes_since(client=alice)["changes"] == [removed(task), shown(alice, task)]


def removed_on_sqlite(task):
    """Return the removal on SQLite, where each change within a transaction has a number of its own."""
    return [removed(task)] if connection.vendor == "sqlite" else []


def test_task_given_away_and_back_in_transaction_is_live(client, changes_since, current_state):
    task = TaskFactory()
    state = current_state()
    with transaction.atomic():
        Task.objects.change(user_id=SOMEBODY_ELSE)
        Task.objects.change(user_id="default")
    assert changes_since(state)["changes"] == [*removed_on_sqlite(task), shown(client, task)]


def test_task_removed_and_inserted_again_is_live(client, changes_since, current_state):
    task = TaskFactory()
    state = current_state()
    with transaction.atomic():
        Task.objects.all().remove()
        again = TaskFactory(id=task.id)
    assert changes_since(state)["changes"] == [*removed_on_sqlite(task), shown(client, again)]


def test_task_inserted_after_removal_comes_after_it(client, changes_since, current_state):
    """A client with a higher version of the removed task would ignore the new task alone."""
    task = TaskFactory(version=5)
    state = current_state()
    Task.objects.all().remove()
    again = TaskFactory(id=task.id)
    pages = walk(changes_since, state, limit=1)
    assert [page["changes"] for page in pages] == [[removed(task)], [shown(client, again)]]


def walk(changes_since, state=None, **parameters):
    """Follow the feed to its end, and return the pages."""
    pages = [changes_since(state, **parameters)]
    while pages[-1]["more"]:
        pages.append(changes_since(pages[-1]["state"], **parameters))
    return pages


def test_pages_within_one_transaction_have_each_change_once(changes_since):
    with transaction.atomic():
        tasks = [TaskFactory() for _ in range(5)]
        gone = [TaskFactory() for _ in range(2)]
        Task.objects.filter(id__in=[task.id for task in gone]).remove()
    pages = walk(changes_since, limit=2)
    assert [len(page["changes"]) for page in pages] == [2, 2, 2, 1]
    seen = [change["id"] for page in pages for change in page["changes"]]
    assert sorted(seen) == sorted(str(task.id) for task in (*tasks, *gone))


def test_last_full_page_has_no_more(changes_since):
    TaskFactory.create_batch(4)
    assert [page["more"] for page in walk(changes_since, limit=2)] == [True, False]


def test_page_has_100_changes_by_default(changes_since):
    Task.objects.insert(TaskFactory.build_batch(101))
    assert [len(page["changes"]) for page in walk(changes_since)] == [100, 1]


def test_client_that_follows_has_tasks_of_server(client, changes_since):
    """Follow the feed between random writes, and apply it as docs/synchronising.md says."""
    mine, state = {}, None
    for number in range(12):
        Task.objects.insert(TaskFactory.build_batch(3))
        Task.objects.filter(id__in=Task.objects.values("id")[number % 3 : number % 3 + 2]).toggle()
        if number % 3 == 2:
            Task.objects.filter(id__in=Task.objects.values("id")[:2]).remove()
            Task.objects.filter(id__in=Task.objects.values("id")[:1]).move_to_trash()
        page = changes_since(state, limit=2)
        state = apply(mine, page)
    for page in walk(changes_since, state, limit=7):
        apply(mine, page)
    server = client.get("/api/tasks?limit=1000").json() + client.get("/api/tasks/trash?limit=1000").json()
    assert mine == {task["id"]: task for task in server}


def apply(mine, page):
    for change in page["changes"]:
        if change["state"] == "removed":
            mine.pop(change["id"], None)
        elif change["task"]["version"] >= mine.get(change["id"], change["task"])["version"]:
            mine[change["id"]] = change["task"]
    return page["state"]


def insert_uncommitted(task):
    """Insert a task in another session, and return the session with its open transaction."""
    known = ("dbname", "user", "password", "host", "port")
    parameters = connection.get_connection_params()
    session = psycopg.connect(**{name: parameters[name] for name in known if name in parameters})
    values = {"id": task.id, "user_id": task.user_id, "title": task.title, "now": task.created_at}
    session.execute(
        "INSERT INTO tasks_task (id, user_id, title, description, completed, created_at, updated_at, version, labels)"
        " VALUES (%(id)s, %(user_id)s, %(title)s, '', false, %(now)s, %(now)s, 1, '{}')",
        values,
    )
    return session


def commit_out_of_order(client, state):
    """Commit a second write before the first one, and return the titles of both pages."""
    pages = []
    with insert_uncommitted(TaskFactory.build(title="first")) as session:
        TaskFactory(title="second")
        pages.append(client.get("/api/tasks/changes", {"since": state}).json())
        session.commit()
    session.close()
    wait_for_open_writes()
    pages.append(client.get("/api/tasks/changes", {"since": pages[0]["state"]}).json())
    return [[change["task"]["title"] for change in page["changes"]] for page in pages]


@on_postgresql
def test_feed_waits_for_earlier_open_write(client, current_state):
    assert commit_out_of_order(client, current_state()) == [[], ["first", "second"]]


@on_postgresql
def test_control_without_horizon_feed_skips_late_commit(client, current_state, monkeypatch):
    from changes.statements import Horizon
    from tasks.api import statements

    state = current_state()
    monkeypatch.delattr(Horizon, "as_postgresql")
    statements.changes.compile.cache_clear()
    try:
        assert commit_out_of_order(client, state) == [["second"], []]
    finally:
        statements.changes.compile.cache_clear()


@on_postgresql
def test_truncation_expires_states(client, current_state, changes_since):
    TaskFactory()
    state = current_state()
    execute("TRUNCATE tasks_task")
    assert client.get("/api/tasks/changes", {"since": state}).status_code == 410
    assert changes_since()["changes"] == []


@on_postgresql
def test_page_within_big_transaction_reads_only_its_rows():
    """Without a limit of each part, PostgreSQL would read and sort all tasks of the transaction."""
    Task.objects.insert(TaskFactory.build_batch(2_000))
    first = Task.objects.order_by("id").first()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks_task")
    plans = []

    def explain(execute, sql, params, many, context):
        cursor = context["cursor"].cursor
        plans.append(cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params).fetchone()[0][0]["Plan"])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        changes.fetch(11, user_id="default", after=(first.change_number, first.id))
        changes.news.fetch(user_id="default", after=(first.change_number, first.id))
    read = [[node["Actual Rows"] for node in scans(plan) if node.get("Index Name") == "task_changes"] for plan in plans]
    assert read == [[11], [1]]


def scans(plan):
    yield plan
    for part in plan.get("Plans", ()):
        yield from scans(part)


@pytest.mark.skipif(
    "sqlite" not in project.DATABASES["default"]["ENGINE"], reason="PostgreSQL compares the position as one value"
)
def test_page_begins_in_index_at_its_state():
    plan = []

    def explain(execute, sql, params, many, context):
        rows = context["cursor"].cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        plan.extend(row[3] for row in rows if "change_number" in row[3])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        changes.fetch(11, user_id="default", after=BEGINNING)
        changes.news.fetch(user_id="default", after=BEGINNING)
    page, news = "change_number>? AND change_number<?)", "({})>(?,?))"
    ends = [page, page, news.format("change_number,id"), news.format("change_number,row_id")]
    assert [step.partition(" (")[2] for step in plan] == [f"user_id=? AND {end}" for end in ends]


def test_feed_without_news_takes_one_statement(client, current_state, django_assert_num_queries):
    TaskFactory()
    state = current_state()
    TaskFactory(foreign=True)
    wait_for_open_writes()
    with django_assert_num_queries(1):
        assert client.get("/api/tasks/changes", {"since": state}).json()["state"] == state
    TaskFactory()
    wait_for_open_writes()
    with django_assert_num_queries(2):
        assert len(client.get("/api/tasks/changes", {"since": state}).json()["changes"]) == 1


def test_state_before_the_last_change_of_a_transaction_has_news(changes_since):
    wait_for_open_writes()
    with transaction.atomic():
        tasks = sorted([TaskFactory(), TaskFactory()], key=lambda task: task.id)
    first = changes_since(limit=1)
    second = changes_since(first["state"])
    assert [change["id"] for page in (first, second) for change in page["changes"]] == [str(task.id) for task in tasks]
