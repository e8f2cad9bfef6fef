"""The table and the bodies of requests; as a program, create the table."""

import asyncio
import os
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar.plugins.sqlalchemy import AsyncSessionConfig, EngineConfig, SQLAlchemyAsyncConfig
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import BigInteger, DateTime, Index, String, desc
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from benchmarks.peers import DUE_FORMS

Title = Annotated[str, Meta(min_length=1, max_length=200)]
Description = Annotated[str, Meta(max_length=2000)]
Due = Annotated[str, Meta(max_length=65, pattern=DUE_FORMS)]
Priority = Literal["low", "medium", "high"]


def now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, bool]: JSONB}


class Task(Base):
    __tablename__ = "task"
    __table_args__ = (Index("task_list", "user_id", desc("created_at"), desc("id")),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(2000))
    completed: Mapped[bool]
    due: Mapped[str | None] = mapped_column(String(65))
    priority: Mapped[str | None] = mapped_column(String(6))
    labels: Mapped[dict[str, bool]]
    user_id: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    completed_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(BigInteger, default=1)

    def write(self, values: dict[str, Any]) -> None:
        """Set the fields, and those that move with every write."""
        for name, value in values.items():
            setattr(self, name, value)
        if self.completed != (self.completed_at is not None):
            self.completed_at = now() if self.completed else None
        self.updated_at = now()
        self.version += 1


class TaskCreate(Struct):
    title: Title
    description: Description = ""
    completed: bool = False
    due: Due | None = None
    priority: Priority | None = None
    labels: dict[str, bool] = {}


class TaskUpdate(Struct):
    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    completed: bool | UnsetType = UNSET
    due: Due | UnsetType | None = UNSET
    priority: Priority | UnsetType | None = UNSET
    labels: dict[str, bool] | UnsetType = UNSET


database = SQLAlchemyAsyncConfig(
    connection_string=os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1),
    engine_config=EngineConfig(pool_size=8, max_overflow=0),
    session_config=AsyncSessionConfig(expire_on_commit=False),
)


async def create_tables() -> None:
    async with database.get_engine().begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


if __name__ == "__main__":
    asyncio.run(create_tables())
