"""The labels of a task: what POST and PATCH take, and the limit, which the write decides."""

import json

import pytest
from django.db import connection
from django.test import Client

from idempotency.models import KeptResponse
from tasks.models import Task
from tasks.tests.api.contract import (
    JSON,
    MERGE_PATCH,
    fault,
    headers,
    json_headers,
    problem,
    problem_headers,
    rfc_3339,
    task_body,
    task_path,
)
from tasks.tests.factories import TaskFactory

pytestmark = pytest.mark.django_db

KEY = {"Idempotency-Key": "one"}
TOO_MANY = [fault("max_number", "Labels exceed the maximum number of 20", pointer="#/labels")]


def names(first, last):
    return [f"label {number:02}" for number in range(first, last + 1)]


def object_of(labels):
    return dict.fromkeys(labels, True)


@pytest.fixture
def task():
    return TaskFactory(title="Buy milk", labels=frozenset({"home", "work"}))


@pytest.fixture
def full():
    """Make a task that has room for one label."""
    return TaskFactory(labels=frozenset(names(1, 19)))


@pytest.fixture
def patch(as_user):
    def send(task, labels, **sent_headers):
        body = json.dumps({"labels": labels})
        return as_user.patch(task_path(task), body, content_type=MERGE_PATCH, headers=sent_headers)

    return send


CHANGES = {
    "one added": ({"shop": True}, ["home", "shop", "work"]),
    "one removed": ({"home": None}, ["work"]),
    "one added and one removed": ({"shop": True, "home": None}, ["shop", "work"]),
    "one that is there": ({"home": True}, ["home", "work"]),
    "one that is missing removed": ({"shop": None}, ["home", "work"]),
    "all removed": ({"home": None, "work": None}, []),
    "names with spaces around": ({" shop\n": True, "\u3000home ": None}, ["shop", "work"]),
    "no change": ({}, ["home", "work"]),
    "array": (["shop", " home "], ["home", "shop"]),
    "empty array": ([], []),
    "null": (None, []),
    "30 changes": (dict.fromkeys(names(1, 30)), ["home", "work"]),
    "20 labels": (["home", *names(1, 19)], ["home", *names(1, 19)]),
    "another case": ({"Home": True}, ["Home", "home", "work"]),
    "other code points": ({"\u00e9": True, "e\u0301": True}, ["e\u0301", "home", "work", "\u00e9"]),
    "names like JSON": ({": true": True, ":true": True, "{}": True, "null": True, "work": None}, None),
    "name of JavaScript": ({"constructor": True, "toString": True, "home": None, "work": None}, None),
    "50 emoji": ({"\N{PILE OF POO}" * 50: True, "home": None}, None),
    "text of SQL": ({"%s": True, "$1": True, "?": True, "'; --": True, "home": None, "work": None}, None),
}


@pytest.mark.parametrize(("labels", "expected"), CHANGES.values(), ids=CHANGES)
def test_patch_of_labels_merges_or_replaces(patch, task, labels, expected):
    if expected is None:
        expected = [name for name in {**object_of(["home", "work"]), **labels} if labels.get(name, True)]
    response = patch(task, labels)
    written = Task.objects.get()
    assert response.status_code == 200
    assert headers(response) == json_headers(ETag='"2"')
    updated_at = rfc_3339(written.updated_at)
    assert response.json() == {
        **task_body(task),
        "labels": object_of(expected),
        "updated_at": updated_at,
        "version": 2,
    }
    assert written.labels == frozenset(expected)
    assert written.updated_at > task.updated_at


@pytest.mark.parametrize("labels", [["home", " work "], {"work": True, " home": True}], ids=["array", "object"])
def test_creation_takes_array_and_object(as_user, labels):
    response = as_user.post("/api/tasks", {"title": "Buy milk", "labels": labels}, content_type=JSON)
    assert (response.status_code, response.json()) == (201, task_body(Task.objects.get()))
    assert response.json()["labels"] == {"home": True, "work": True}


def test_creation_with_null_has_no_labels(as_user):
    response = as_user.post("/api/tasks", {"title": "Buy milk", "labels": None}, content_type=JSON)
    assert (response.status_code, response.json()["labels"]) == (201, {})


def test_same_labels_have_same_text_after_any_writes(as_user, patch):
    """Their order depends on neither the order of the writes nor the database."""
    sent = ["\uffff", "\N{PILE OF POO}", "zz", "a", "ab", "ä", "Z"]
    text = '"labels":{"Z":true,"a":true,"ab":true,"zz":true,"ä":true,"\uffff":true,"\N{PILE OF POO}":true}'
    for order in (sent, sent[::-1]):
        task = TaskFactory()
        for name in order:
            shown = patch(task, {name: True}).content.decode()
        assert text in shown
        assert text in as_user.get(task_path(task)).content.decode()
        assert text in patch(TaskFactory(), order).content.decode()


# The limit


def test_20_labels_after_patch_are_stored(patch, full):
    response = patch(full, {"label 20": True})
    assert (response.status_code, response.json()["labels"]) == (200, object_of(names(1, 20)))


def test_patch_that_removes_as_many_is_stored(patch, full):
    response = patch(full, {**object_of(names(20, 39)), **dict.fromkeys(names(1, 19))})
    assert (response.status_code, response.json()["labels"]) == (200, object_of(names(20, 39)))


EXCESSIVE = {"object": object_of(names(20, 21)), "array": names(1, 21)}


@pytest.mark.parametrize("labels", EXCESSIVE.values(), ids=EXCESSIVE)
@pytest.mark.parametrize("tags", [{}, {"If-Match": '"1"'}, {"If-Match": "*"}, {"If-Match": '"9"'}], ids=str)
def test_21_labels_are_refused_before_the_version(patch, full, stored, labels, tags):
    before = stored()
    response = patch(full, labels, **tags)
    assert (response.status_code, headers(response)) == (400, problem_headers())
    assert response.json() == problem("validation_error", task_path(full), errors=TOO_MANY)
    assert stored() == before


@pytest.mark.parametrize("labels", [object_of(names(1, 21)), names(1, 21)], ids=["object", "array"])
@pytest.mark.parametrize("traits", [{"foreign": True}, {"trashed": True}], ids=str)
@pytest.mark.parametrize("tags", [{}, {"If-Match": '"9"'}], ids=str)
def test_21_labels_for_no_task_answer_404(patch, stored, labels, traits, tags):
    task = TaskFactory(**traits)
    before = stored()
    response = patch(task, labels, **tags)
    assert (response.status_code, headers(response)) == (404, problem_headers())
    assert response.json() == problem("not_found", task_path(task))
    assert stored() == before


def test_20_labels_for_another_version_answer_412(patch, full, stored):
    before = stored()
    response = patch(full, {"label 20": True}, **{"If-Match": '"9"'})
    assert (response.status_code, headers(response)) == (412, problem_headers(ETag='"1"'))
    assert response.json() == problem("precondition_failed", task_path(full))
    assert stored() == before


def test_21_labels_beside_another_field_write_nothing(as_user, full, stored):
    before = stored()
    body = {"title": "Buy bread", "labels": EXCESSIVE["object"]}
    response = as_user.patch(task_path(full), body, content_type=JSON)
    assert response.json() == problem("validation_error", task_path(full), errors=TOO_MANY)
    assert stored() == before


@pytest.mark.parametrize("labels", EXCESSIVE.values(), ids=EXCESSIVE)
def test_refused_number_of_labels_leaves_key_free(patch, full, labels):
    refused = patch(full, labels, **KEY)
    assert (refused.status_code, KeptResponse.objects.count()) == (400, 0)
    written = patch(full, {"label 20": True}, **KEY)
    again = patch(full, {"label 20": True}, **KEY)
    assert (written.status_code, again.content) == (200, written.content)
    assert headers(again) == {**headers(written), "Idempotency-Replayed": "true"}
    assert Task.objects.get().version == 2


# Another request is carried out right before the write, or between the write and the search for its reason.


@pytest.fixture
def interleave(patch, full):
    """Send a PATCH of labels, and another one before the PATCH's statement with the given number."""

    def run(labels, other, *, before, **sent_headers):
        statements = []

        def send_other(execute, sql, *rest):
            statements.append(sql)
            if len(statements) == before:
                body = json.dumps({"labels": other})
                assert Client().patch(task_path(full), body, content_type=JSON).status_code == 200
            return execute(sql, *rest)

        with connection.execute_wrapper(send_other):
            return patch(full, labels, **sent_headers)

    return run


def test_patches_of_two_labels_both_survive(interleave):
    response = interleave({"label 20": True}, {"label 01": None}, before=1)
    assert (response.status_code, response.json()) == (200, task_body(Task.objects.get()))
    assert response.json()["labels"] == object_of(names(2, 20))


def test_limit_is_decided_with_labels_of_other_write(interleave):
    response = interleave({"label 20": True}, {"label 21": True}, before=1)
    assert (response.status_code, response.json()["errors"]) == (400, TOO_MANY)
    assert Task.objects.get().labels == {*names(1, 19), "label 21"}


def test_patch_is_written_when_room_appears_meanwhile(interleave):
    """The write finds no room, and the reason is gone when the request looks for the reason."""
    response = interleave(object_of(names(20, 21)), {"label 01": None}, before=2)
    assert (response.status_code, response.json()) == (200, task_body(Task.objects.get()))
    assert response.json()["labels"] == object_of(names(2, 21))


def test_patch_of_version_is_refused_when_room_appears_meanwhile(interleave):
    response = interleave(object_of(names(20, 21)), {"label 01": None}, before=2, **{"If-Match": '"1"'})
    assert (response.status_code, response.headers["ETag"]) == (412, '"2"')
    assert Task.objects.get().labels == frozenset(names(2, 19))
