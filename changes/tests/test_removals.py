"""Removals: for how long they are remembered, and what a state of before then gets."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from changes.models import Epoch, Forgotten, Removal
from tasks.models import Task
from tasks.tests.api.contract import problem
from tasks.tests.factories import TaskFactory

PATH = "/api/tasks/changes"

pytestmark = pytest.mark.django_db(transaction=True)


def remove_task(user_id="default"):
    task = TaskFactory(user_id=user_id)
    assert Task.objects.filter(id=task.id).remove() == 1
    return task.id


def forget(size=100):
    return sum(Removal.objects.forget_in_batches(size))


def last_removals():
    return {each.user_id: (each.change_number, each.row_id) for each in Removal.objects.order_by("change_number")}


def test_removal_is_remembered_for_each_owner():
    removed = {(user_id, remove_task(user_id)) for user_id in ("default", "alice")}
    assert set(Removal.objects.values_list("user_id", "row_id")) == removed
    now = timezone.now()
    assert all(now - timedelta(minutes=1) < each.removed_at <= now for each in Removal.objects.all())
    assert str(Removal.objects.of("alice", dict(removed)["alice"]).get()) == str(dict(removed)["alice"])
    assert not Removal.objects.of("default", dict(removed)["alice"]).exists()


@pytest.mark.parametrize("size", [1, 2, 100])
def test_last_forgotten_removal_of_each_owner_is_kept(size):
    for user_id in ("default", "alice", "default", "alice", "default"):
        remove_task(user_id)
    expected = last_removals()
    assert forget(size) == 5
    assert {each.user_id: (each.change_number, each.row_id) for each in Forgotten.objects.all()} == expected
    assert [str(each) for each in Forgotten.objects.order_by("user_id")] == ["alice", "default"]
    remove_task("alice")
    expected |= last_removals()
    assert (forget(size), Removal.objects.count()) == (1, 0)
    assert {each.user_id: (each.change_number, each.row_id) for each in Forgotten.objects.all()} == expected


def test_forgotten_position_never_falls():
    remove_task()
    Forgotten.objects.create(user_id="default", change_number=2**62, row_id=UUID(int=7))
    assert forget() == 1
    assert Forgotten.objects.get().change_number == 2**62


def test_state_before_forgotten_removal_has_expired(client, current_state):
    TaskFactory()
    state = current_state()
    remove_task()
    forget()
    response = client.get(PATH, {"since": state})
    assert (response.status_code, response.json()) == (410, problem("state_expired", PATH))


def test_state_after_forgotten_removal_stays_valid(client, changes_since, current_state):
    remove_task()
    state = current_state()
    forget()
    assert changes_since(state) == {"changes": [], "state": state, "more": False}
    task = TaskFactory()
    assert [change["id"] for change in changes_since(state)["changes"]] == [str(task.id)]


def test_state_of_other_user_stays_valid(client_of, changes_since, current_state):
    alice = client_of("alice")
    state = current_state(client=alice)
    remove_task("bob")
    forget()
    assert changes_since(state, alice)["state"] == state


def test_client_that_starts_after_forgetting_reaches_end(client, changes_since):
    """Its pages have states from before the forgotten removal."""
    TaskFactory.create_batch(5)
    remove_task()
    forget()
    states = [changes_since(limit=2)["state"]]
    for number in (2, 1):
        page = changes_since(states[-1], limit=2)
        assert (len(page["changes"]), page["more"]) == (number, number == 2)
        states.append(page["state"])
    remove_task()
    forget()
    assert [client.get(PATH, {"since": state}).status_code for state in states] == [410] * 3


def test_erased_user_leaves_no_removal(current_state, changes_since):
    TaskFactory()
    remove_task()
    remove_task("alice")
    forget()
    last = remove_task()
    number = Removal.objects.get(row_id=last).change_number
    Task.objects.all().remove()
    assert sum(Removal.objects.erase_in_batches("default", 1)) == 2
    assert not Removal.objects.filter(user_id="default").exists()
    assert [each.user_id for each in Forgotten.objects.all()] == ["alice"]
    TaskFactory()
    assert Task.objects.get().change_number > number
    assert Epoch.objects.get().floor >= number


def test_numbers_of_erased_user_are_not_given_again(current_state, changes_since):
    for _ in range(3):
        remove_task()
    state = current_state()
    forget()
    assert sum(Removal.objects.erase_in_batches("default", 1)) == 0
    task = TaskFactory()
    assert [change["id"] for change in changes_since(state)["changes"]] == [str(task.id)]
