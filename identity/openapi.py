"""Describe bearer tokens in the OpenAPI document."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """``AUTH_MODE=jwt``: a token that the identity provider signed."""

    target_class = "identity.authentication.JWTAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of the identity provider, whose `sub` is the user. In single-user mode none is "
            "asked for, and every task belongs to `default`.",
        }


class SingleUserScheme(BearerScheme):  # type: ignore[no-untyped-call]
    """``AUTH_MODE=single-user``: the same document, in which a token may be left out."""

    target_class = "identity.authentication.SingleUserAuthentication"

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{"bearer": []}, {}]
