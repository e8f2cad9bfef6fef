"""The table and the bodies of requests and responses, as in SQLModel's "Multiple Models with FastAPI"."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, desc
from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7


def now() -> datetime:
    return datetime.now(UTC)


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=2000)
    completed: bool = False


class Task(TaskBase, table=True):
    __table_args__ = (Index("task_list", "user_id", desc("created_at"), desc("id")),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: str = Field(max_length=255)
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_type=BigInteger)


class TaskCreate(TaskBase):
    pass


class TaskUpdate(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    completed: bool | None = None


class TaskPublic(TaskBase):
    id: UUID
    user_id: str
    created_at: datetime
    updated_at: datetime
    version: int
