"""Who is asking. ``AUTH_MODE`` chooses the class, and nothing else asks for the mode."""

from dataclasses import dataclass

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request: a subject that owns tasks, and no Django user.

    ``pk`` is the user id, by the name that REST framework asks a user for it.
    """

    pk: str
    is_authenticated: bool = True


SINGLE_USER = Caller("default")


class SingleUserAuthentication(BaseAuthentication):
    """``AUTH_MODE=single-user``: no token is asked for, and every task belongs to ``default``."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        return SINGLE_USER, None
