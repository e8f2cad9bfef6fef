"""The parameters of the feed, and the states that it gives and takes."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from changes.epoch import renew_epoch
from changes.models import BEGINNING
from changes.states import State, read_state
from tasks.tests.api.contract import headers, invalid_parameter, problem, problem_headers
from tasks.tests.factories import TaskFactory

PATH = "/api/tasks/changes"
BROKEN = invalid_parameter(
    "since", "is broken, or another caller's; send the state of an earlier answer, or no since to start again"
)

pytestmark = pytest.mark.django_db


def flip(text, index):
    """Change one bit of the bytes that a state stands for."""
    content = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    content[index] ^= 1
    return urlsafe_b64encode(content).decode().rstrip("=")


DAMAGES = {
    "words": lambda state: "yesterday",
    "number": lambda state: "17",
    "blank": lambda state: f" {state}",
    "cut off": lambda state: state[:-1],
    "four less": lambda state: state[:-4],
    "longer": lambda state: f"{state}AAAA",
    "padded": lambda state: f"{state}=",
    "other alphabet": lambda state: state.replace("A", "+"),
    "accented": lambda state: f"é{state[1:]}",
    "upper case": lambda state: state.upper(),
    "history": lambda state: flip(state, 0),
    "position": lambda state: flip(state, 12),
    "digest": lambda state: flip(state, -1),
    "all zero": lambda state: urlsafe_b64encode(bytes(64)).decode().rstrip("="),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_broken_state_is_refused(client, damage):
    state = client.get(PATH).json()["state"]
    assert client.get(PATH, {"since": state}).status_code == 200
    response = client.get(PATH, {"since": damage(state)})
    assert (response.status_code, headers(response)) == (400, problem_headers())
    assert response.json() == problem("validation_error", PATH, errors=[BROKEN])


def test_state_of_other_caller_is_refused(client_of):
    state = client_of("alice").get(PATH).json()["state"]
    assert client_of("alice").get(PATH, {"since": state}).status_code == 200
    response = client_of("bob").get(PATH, {"since": state})
    assert (response.status_code, response.json()) == (400, problem("validation_error", PATH, errors=[BROKEN]))


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("limit=0", [invalid_parameter("limit", "must be a number from 1 to 1000")]),
        ("limit=1001", [invalid_parameter("limit", "must be a number from 1 to 1000")]),
        ("limit=1&limit=1", [invalid_parameter("limit", "must appear only once")]),
        ("since=", [invalid_parameter("since", "must not be empty")]),
        ("since=x&since=x", [invalid_parameter("since", "must appear only once")]),
        ("since=x&limit=x", [BROKEN, invalid_parameter("limit", "must be a number from 1 to 1000")]),
    ],
)
def test_wrong_parameters_are_refused(client, query, errors):
    response = client.get(f"{PATH}?{query}")
    assert (response.status_code, response.json()) == (400, problem("validation_error", PATH, errors=errors))


@pytest.mark.parametrize("limit", ["1", "0001", "1000"])
def test_limit_in_range_is_accepted(client, limit):
    assert client.get(PATH, {"limit": limit}).status_code == 200


def test_state_of_ended_epoch_has_expired(client):
    state = client.get(PATH).json()["state"]
    renew_epoch()
    response = client.get(PATH, {"since": state})
    assert (response.status_code, headers(response)) == (410, problem_headers())
    assert response.json() == problem("state_expired", PATH)
    assert client.get(PATH, {"since": client.get(PATH).json()["state"]}).status_code == 200


def test_state_survives_new_secret_key(client, settings):
    TaskFactory()
    state = client.get(PATH).json()["state"]
    settings.SECRET_KEY = "another-key-for-the-tests-which-is-long-enough-too"
    assert client.get(PATH, {"since": state}).json() == {"changes": [], "state": state, "more": False}


def test_state_is_read_as_written():
    state = State(b"12345678", BEGINNING._replace(number=2**63 - 1), BEGINNING._replace(number=3))
    assert read_state(state.write("alice"), "alice") == state
