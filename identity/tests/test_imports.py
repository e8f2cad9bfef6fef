"""A worker imports the modules of its ``AUTH_MODE`` only, because PyJWT takes memory."""

import pytest

from testing.identity_provider import AUDIENCE, ISSUER
from testing.python_processes import json_output_of

JWT_MODE = {
    "AUTH_MODE": "jwt",
    "JWT_JWKS_URL": "http://127.0.0.1:9/jwks",
    "JWT_ISSUER": ISSUER,
    "JWT_AUDIENCE": AUDIENCE,
}

#: The start of a worker, and all that its requests import.
IMPORTED = """
import json, sys
import todo_project.wsgi, todo_project.urls
print(json.dumps(["identity.single_user" in sys.modules, "identity.tokens" in sys.modules, "jwt" in sys.modules]))
"""


@pytest.mark.once
@pytest.mark.parametrize(
    ("variables", "imported"),
    [({}, [True, False, False]), (JWT_MODE, [False, True, True])],
    ids=["single-user", "jwt"],
)
def test_worker_imports_the_modules_of_its_mode(variables, imported):
    assert json_output_of(IMPORTED, DATABASE_URL="sqlite:///:memory:", **variables) == imported
