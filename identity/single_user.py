"""Authenticate every caller as the user ``default``: ``AUTH_MODE=single-user``."""

from hmac import compare_digest

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from identity.authentication import Caller, read_bearer_token, refuse_token
from identity.user_ids import SINGLE_USER_ID

SINGLE_USER = Caller(SINGLE_USER_ID)


class SingleUserAuthentication(BaseAuthentication):
    """The authentication of a service in which only ``API_TOKEN`` makes a token necessary.

    Raises:
        NotAuthenticated: the request has no bearer token.
        AuthenticationFailed: the token is not ``API_TOKEN``.
    """

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        if settings.API_TOKEN:
            token = read_bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
            # In constant time, because the duration of a comparison that ends early would tell the token.
            if not compare_digest(token.encode(), settings.API_TOKEN.encode()):
                refuse_token("it is not API_TOKEN")
        return SINGLE_USER, None
