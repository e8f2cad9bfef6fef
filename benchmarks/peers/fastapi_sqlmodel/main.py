"""The endpoints; they write with ``add``, ``commit`` and ``refresh``, as SQLModel's tutorial does."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query, Response
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from benchmarks.peers.fastapi_sqlmodel.database import get_session
from benchmarks.peers.fastapi_sqlmodel.models import Task, TaskCreate, TaskPublic, TaskUpdate, now

app = FastAPI()


def current_user() -> str:
    return "default"


Session = Annotated[AsyncSession, Depends(get_session)]
User = Annotated[str, Depends(current_user)]


async def own_task(task_id: UUID, session: Session, user: User) -> Task:
    task = (await session.exec(select(Task).where(Task.id == task_id, Task.user_id == user))).first()
    if task is None:
        raise HTTPException(404, "Task not found")
    return task


OwnTask = Annotated[Task, Depends(own_task)]


def completion(task: Task, *, completed: bool) -> dict[str, datetime | None]:
    """Return ``completed_at``, if the task is completed or opened."""
    if completed == (task.completed_at is not None):
        return {}
    return {"completed_at": now() if completed else None}


async def save(session: AsyncSession, task: Task) -> Task:
    session.add(task)
    await session.commit()
    await session.refresh(task)
    return task


@app.get("/readyz")
async def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/api/tasks", response_model=list[TaskPublic])
async def list_tasks(
    session: Session,
    user: User,
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
    created_before: datetime | None = None,
    completed: bool | None = None,  # noqa: FBT001
    q: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
) -> list[Task]:
    tasks = select(Task).where(Task.user_id == user).order_by(col(Task.created_at).desc(), col(Task.id).desc())
    if created_before is not None:
        tasks = tasks.where(Task.created_at < created_before)
    if completed is not None:
        tasks = tasks.where(Task.completed == completed)
    if q is not None:
        tasks = tasks.where(or_(col(Task.title).ilike(f"%{q}%"), col(Task.description).ilike(f"%{q}%")))
    return list((await session.exec(tasks.limit(limit))).all())


@app.post("/api/tasks", response_model=TaskPublic, status_code=201)
async def create_task(body: TaskCreate, response: Response, session: Session, user: User) -> Task:
    completed_at = now() if body.completed else None
    task = await save(session, Task.model_validate(body, update={"user_id": user, "completed_at": completed_at}))
    response.headers["Location"] = f"/api/tasks/{task.id}"
    return task


@app.get("/api/tasks/{task_id}", response_model=TaskPublic)
async def read_task(task: OwnTask) -> Task:
    return task


@app.patch("/api/tasks/{task_id}", response_model=TaskPublic)
async def update_task(body: TaskUpdate, task: OwnTask, session: Session) -> Task:
    values = body.model_dump(exclude_unset=True)
    completed_at = completion(task, completed=values.get("completed", task.completed))
    task.sqlmodel_update(values, update={**completed_at, "updated_at": now(), "version": task.version + 1})
    return await save(session, task)


@app.post("/api/tasks/{task_id}/toggle", response_model=TaskPublic)
async def toggle_task(task: OwnTask, session: Session) -> Task:
    completed = not task.completed
    values = {"completed": completed, "updated_at": now(), "version": task.version + 1}
    task.sqlmodel_update(values, update=completion(task, completed=completed))
    return await save(session, task)


@app.delete("/api/tasks/{task_id}", response_model=TaskPublic)
async def delete_task(task: OwnTask, session: Session) -> Task:
    await session.delete(task)
    await session.commit()
    return task
