"""The endpoints; the SQLAlchemy plugin gives each request a session, and serialises the tasks."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Litestar, Response, delete, get, patch, post
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.params import Parameter
from litestar.plugins.sqlalchemy import SQLAlchemyPlugin
from msgspec import UNSET, structs
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.peers.litestar.models import Task, TaskCreate, TaskUpdate, database, now

USER = "default"


async def own_task(task_id: UUID, db_session: AsyncSession) -> Task:
    task = await db_session.scalar(select(Task).where(Task.id == task_id, Task.user_id == USER))
    if task is None:
        raise NotFoundException("Task not found")
    return task


@get("/readyz")
async def ready() -> dict[str, str]:
    return {"status": "ok"}


@get("/api/tasks")
async def list_tasks(
    db_session: AsyncSession,
    limit: Annotated[int | None, Parameter(ge=1, le=1000)] = None,
    created_before: datetime | None = None,
    completed: bool | None = None,  # noqa: FBT001
    q: Annotated[str | None, Parameter(min_length=1, max_length=200)] = None,
) -> list[Task]:
    tasks = select(Task).where(Task.user_id == USER).order_by(Task.created_at.desc(), Task.id.desc())
    if created_before is not None:
        tasks = tasks.where(Task.created_at < created_before)
    if completed is not None:
        tasks = tasks.where(Task.completed == completed)
    if q is not None:
        tasks = tasks.where(or_(Task.title.ilike(f"%{q}%"), Task.description.ilike(f"%{q}%")))
    return list(await db_session.scalars(tasks.limit(limit)))


@post("/api/tasks")
async def create_task(data: TaskCreate, db_session: AsyncSession) -> Response[Task]:
    task = Task(**structs.asdict(data), user_id=USER, completed_at=now() if data.completed else None)
    db_session.add(task)
    await db_session.commit()
    return Response(task, headers={"Location": f"/api/tasks/{task.id}"})


@get("/api/tasks/{task_id:uuid}")
async def read_task(task: Task) -> Task:
    return task


@patch("/api/tasks/{task_id:uuid}")
async def update_task(data: TaskUpdate, task: Task, db_session: AsyncSession) -> Task:
    task.write({name: value for name, value in structs.asdict(data).items() if value is not UNSET})
    await db_session.commit()
    return task


@post("/api/tasks/{task_id:uuid}/toggle", status_code=200)
async def toggle_task(task: Task, db_session: AsyncSession) -> Task:
    task.write({"completed": not task.completed})
    await db_session.commit()
    return task


@delete("/api/tasks/{task_id:uuid}", status_code=200)
async def delete_task(task: Task, db_session: AsyncSession) -> Task:
    await db_session.delete(task)
    await db_session.commit()
    return task


app = Litestar(
    [ready, list_tasks, create_task, read_task, update_task, toggle_task, delete_task],
    dependencies={"task": Provide(own_task)},
    plugins=[SQLAlchemyPlugin(config=database)],
    openapi_config=None,
)
