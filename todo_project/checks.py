"""System checks of settings that are sound each by itself and unsafe together."""

from typing import Any

from django.conf import settings
from django.core import checks

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@checks.register
def single_user_mode_stays_on_this_machine(**_: Any) -> list[checks.CheckMessage]:
    if settings.AUTH_MODE != "single-user" or settings.HOST in LOOPBACK:
        return []
    return [
        checks.Warning(
            f"AUTH_MODE is single-user and HOST is {settings.HOST}: whoever reaches it may read and change every task.",
            hint="Set HOST=127.0.0.1, or let in only whom you trust at a proxy or firewall in front.",
            id="todo.W001",
        )
    ]


@checks.register
def every_thread_gets_a_connection(**_: Any) -> list[checks.CheckMessage]:
    pool = settings.DATABASES["default"]["OPTIONS"].get("pool")
    if pool is None or pool["max_size"] >= settings.THREADS:
        return []
    return [
        checks.Error(
            f"DB_POOL_SIZE is {pool['max_size']} and THREADS is {settings.THREADS}: some threads get no connection.",
            hint=f"Set DB_POOL_SIZE={settings.THREADS} or more.",
            id="todo.E001",
        )
    ]
