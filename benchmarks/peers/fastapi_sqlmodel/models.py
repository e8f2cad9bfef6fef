"""The table and the bodies of requests and responses, as in SQLModel's "Multiple Models with FastAPI"."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import StringConstraints
from sqlalchemy import BigInteger, DateTime, Index, String, desc
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7

from benchmarks.peers import DUE_FORMS

Due = Annotated[str, StringConstraints(max_length=65, pattern=DUE_FORMS)]
Priority = Literal["low", "medium", "high"]
Labels = dict[str, Literal[True]]


def now() -> datetime:
    return datetime.now(UTC)


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=2000)
    completed: bool = False
    due: Due | None = Field(default=None, sa_type=String(65))
    priority: Priority | None = Field(default=None, sa_type=String(6))
    labels: Labels = Field(default_factory=dict, sa_type=JSONB)


class Task(TaskBase, table=True):
    __table_args__ = (Index("task_list", "user_id", desc("created_at"), desc("id")),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: str = Field(max_length=255)
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    completed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    version: int = Field(default=1, sa_type=BigInteger)


class TaskCreate(TaskBase):
    pass


class TaskUpdate(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    completed: bool | None = None
    due: Due | None = None
    priority: Priority | None = None
    labels: Labels = {}


class TaskPublic(TaskBase):
    id: UUID
    user_id: str
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    version: int
