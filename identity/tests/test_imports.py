"""A worker imports PyJWT in ``AUTH_MODE=jwt`` only, because PyJWT takes memory."""

import pytest

from testing.identity_provider import AUDIENCE, ISSUER
from testing.python_processes import json_output_of

JWT_MODE = {
    "AUTH_MODE": "jwt",
    "JWT_JWKS_URL": "http://127.0.0.1:9/jwks",
    "JWT_ISSUER": ISSUER,
    "JWT_AUDIENCE": AUDIENCE,
}

#: The start of a worker, and a request for the OpenAPI document.
IMPORTED = """
import json, sys
import todo_project.wsgi
from django.test import Client
assert Client(headers={"host": "localhost"}).get("/api/schema").status_code == 200
print(json.dumps(["identity.tokens" in sys.modules, "jwt" in sys.modules]))
"""


@pytest.mark.once
@pytest.mark.parametrize(
    ("variables", "imported"),
    [({}, [False, False]), (JWT_MODE, [True, True])],
    ids=["single-user", "jwt"],
)
def test_worker_imports_pyjwt_in_jwt_mode_only(variables, imported):
    assert json_output_of(IMPORTED, DATABASE_URL="sqlite:///:memory:", **variables) == imported
