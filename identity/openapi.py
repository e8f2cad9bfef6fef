"""Describe bearer tokens in the OpenAPI document."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The security scheme of ``AUTH_MODE=jwt``: every request needs a token."""

    target_class = "identity.tokens.JWTAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token from the identity provider. Its `sub` is the user id. In single-user mode "
            "every task belongs to `default`, and a token is needed only if the operator has set one.",
        }


class SingleUserScheme(BearerScheme):  # type: ignore[no-untyped-call]
    """The security scheme of ``AUTH_MODE=single-user``: a token is optional."""

    target_class = "identity.single_user.SingleUserAuthentication"
    priority = 1  # before the other class, because drf-spectacular would import PyJWT to compare that one

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{"bearer": []}, {}]
