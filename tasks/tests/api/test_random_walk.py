"""Three users send random requests for tasks of their own and of one another, which a model predicts."""

import json
import re
from types import MappingProxyType
from urllib.parse import urlencode

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tasks.models import Task
from tasks.tests.api.contract import JSON, ORDERINGS, sort_key, task_body

pytestmark = pytest.mark.django_db

USERS = ("alice", "bob", "carol")
STEPS = 500

users = st.sampled_from(USERS)
titles = st.sampled_from(["Buy milk", "Buy bread", "Call Bob", "ä"])
numbers = st.integers(0, 10**6)
orderings = st.sampled_from(ORDERINGS)
plans = st.fixed_dictionaries(
    {
        "due": st.sampled_from([None, "2026-12-24", "2026-12-24T18:00:00[Europe/Berlin]"]),
        "priority": st.sampled_from([None, "low", "high"]),
        "labels": st.sampled_from([{}, {"home": True}, ["home", "work"]]),
    }
)
NEXT = re.compile('<([^>]+)>; rel="next"')


class Walk(RuleBasedStateMachine):
    """A walk: ``live`` and ``trash`` are each user's tasks by id, as the last response showed them."""

    clients: dict = {}

    def __init__(self):
        super().__init__()
        Task.objects.all().delete()
        self.live = {user: {} for user in USERS}
        self.trash = {user: {} for user in USERS}
        self.rows, self.stored = [], {}

    def ask(self, user, method, path, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        return self.clients[user].generic(method, path, data, content_type=JSON if data else "")

    def any_id(self, number):
        """Return the id of a task of any user."""
        ids = [task_id for place in (self.live, self.trash) for user in USERS for task_id in place[user]]
        return ids[number % len(ids)] if ids else "019bac10-5b00-7000-8000-000000000000"

    def write(self, user, number, method, path, body=None, *, place, to):
        """Send a write, which succeeds if ``place`` has the task as the user's own, and else is a 404 or 409."""
        task_id = self.any_id(number)
        response = self.ask(user, method, path.format(task_id), body)
        if task_id in place[user]:
            assert response.status_code == 200
            before, after = place[user].pop(task_id), response.json()
            assert (after["id"], after["user_id"]) == (task_id, user)
            assert after["version"] - before["version"] in {0, 1}
            if to is not None:
                to[user][task_id] = after
        else:
            assert response.status_code in ({404, 409} if task_id in self.live[user] else {404})
            assert set(response.json()) == {"type", "title", "status", "detail", "instance", "code"}

    # Hypothesis leaves out some rules of each walk, and one without `create` needs tasks too.
    @initialize()
    def create_one_task_each(self):
        for user in USERS:
            self.create(user, "Buy milk", user)

    @rule(user=users, title=titles, owner=users, plan=plans)
    def create(self, user, title, owner, plan=MappingProxyType({})):
        response = self.ask(user, "POST", "/api/tasks", {"title": title, "user_id": owner, **plan})
        assert response.status_code == 201
        task = response.json()
        assert (task["user_id"], task["version"]) == (user, 1)
        self.live[user][task["id"]] = task

    @rule(user=users, number=numbers, title=titles, owner=users)
    def change(self, user, number, title, owner):
        body = {"title": title, "user_id": owner}
        self.write(user, number, "PATCH", "/api/tasks/{}", body, place=self.live, to=self.live)

    @rule(user=users, number=numbers, plan=plans)
    def plan(self, user, number, plan):
        self.write(user, number, "PATCH", "/api/tasks/{}", plan, place=self.live, to=self.live)

    @rule(user=users, number=numbers)
    def toggle(self, user, number):
        self.write(user, number, "POST", "/api/tasks/{}/toggle", place=self.live, to=self.live)

    @rule(user=users, number=numbers)
    def delete(self, user, number):
        self.write(user, number, "DELETE", "/api/tasks/{}", place=self.live, to=self.trash)

    @rule(user=users, number=numbers)
    def restore(self, user, number):
        self.write(user, number, "POST", "/api/tasks/{}/restore", place=self.trash, to=self.live)

    @rule(user=users, number=numbers)
    def remove(self, user, number):
        self.write(user, number, "DELETE", "/api/tasks/trash/{}", place=self.trash, to=None)

    @rule(user=users, number=numbers, trashed=st.booleans())
    def show(self, user, number, trashed):
        task_id = self.any_id(number)
        response = self.ask(user, "GET", f"/api/tasks/{'trash/' if trashed else ''}{task_id}")
        task = (self.trash if trashed else self.live)[user].get(task_id)
        assert (response.status_code, response.json()) == (200, task) if task else response.status_code == 404

    @rule(user=users, trashed=st.booleans(), title=titles)
    def search(self, user, trashed, title):
        query = urlencode({"q": title})
        shown = json.loads(self.ask(user, "GET", f"/api/tasks{'/trash' if trashed else ''}?{query}").getvalue())
        place = (self.trash if trashed else self.live)[user]
        assert {task["id"]: task for task in shown} == {
            task_id: task for task_id, task in place.items() if task["title"] == title
        }

    @rule(user=users, plan=plans)
    def count(self, user, plan):
        query = urlencode({"priority": plan["priority"] or "none", "due": "any" if plan["due"] else "none"})
        chosen = [
            task
            for task in self.live[user].values()
            if task["priority"] == plan["priority"] and bool(task["due"]) is bool(plan["due"])
        ]
        assert self.ask(user, "GET", f"/api/tasks/count?{query}").json() == {"count": len(chosen)}

    @rule(user=users, trashed=st.booleans(), size=st.integers(1, 5), ordering=orderings)
    def walk_pages(self, user, trashed, size, ordering):
        path, shown = f"/api/tasks{'/trash' if trashed else ''}?limit={size}&ordering={ordering}", []
        while path:
            response = self.ask(user, "GET", path)
            shown += response.json()
            path = next(iter(NEXT.findall(response.headers["Link"])), None)
        assert {task["id"]: task for task in shown} == (self.trash if trashed else self.live)[user]
        keys = [sort_key(ordering, task) for task in shown]
        assert keys == sorted(set(keys), reverse=ordering.startswith("-"))

    @rule(user=users, trashed=st.booleans())
    def list_all(self, user, trashed):
        shown = json.loads(self.ask(user, "GET", "/api/tasks/trash" if trashed else "/api/tasks").getvalue())
        assert {task["id"]: task for task in shown} == (self.trash if trashed else self.live)[user]

    @invariant()
    def stored_tasks_are_those_shown(self):
        assert self.read_stored() == {
            (trashed, user, task_id): task
            for trashed, place in ((False, self.live), (True, self.trash))
            for user in USERS
            for task_id, task in place[user].items()
        }

    def read_stored(self):
        """Return the stored tasks; most steps change no row, and then the ORM need not read them again."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {Task._meta.db_table} ORDER BY id")
            rows = cursor.fetchall()
        if rows != self.rows:
            self.rows = rows
            tasks = Task.objects.all()
            self.stored = {(task.deleted_at is not None, task.user_id, str(task.id)): task_body(task) for task in tasks}
        return self.stored


def walk(machine, *, examples):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def clients(client_of, monkeypatch):
    monkeypatch.setattr(Walk, "clients", {user: client_of(user) for user in USERS})


@pytest.mark.usefixtures("clients")
def test_random_walk_shows_and_changes_only_own_tasks():
    walk(Walk, examples=10)


@pytest.mark.usefixtures("clients", "no_owner")
def test_control_without_owner_filter_walk_fails():
    with pytest.raises(AssertionError):
        walk(Walk, examples=100)
