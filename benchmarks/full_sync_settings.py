"""The project's settings, except that SQLite waits for the disk at every commit."""

from todo_project.settings import *  # noqa: F403
from todo_project.settings import DATABASES

DATABASES["default"]["OPTIONS"]["init_command"] = DATABASES["default"]["OPTIONS"]["init_command"].replace(
    "synchronous=NORMAL", "synchronous=FULL"
)
