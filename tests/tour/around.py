"""What the pieces of the documentation take for granted: an application's own things around its tasks."""

from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

import postlude as package
from tests.tour.preamble import EmailStr, ImportReport, SMTPException, read

__all__ = ["EmailStr", "ImportReport", "SMTPException", "around", "read"]

request_id: ContextVar[str] = ContextVar("request_id", default="")
tenant: ContextVar[str] = ContextVar("tenant", default="")


class Base(DeclarativeBase): ...


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    tenant: Mapped[str]


class NewOrder(BaseModel):
    email: str
    tenant: str


class User(BaseModel):
    id: int = 7
    name: str = "ada"
    is_admin: bool = True


async def current_user() -> User:
    return User()


async def current_user_id() -> str:
    return "7"


async def require_admin() -> package.Access:
    return package.Access.admin("ada")


def around(folder: Path) -> dict[str, Any]:
    """Return the names, with a database in this folder."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/shop.db")

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield session

    names = {name: getattr(package, name) for name in package.__all__ if name != "CeleryEngine"}
    return names | {
        "Annotated": Annotated,
        "AsyncIterator": AsyncIterator,
        "AsyncSession": AsyncSession,
        "Base": Base,
        "Depends": Depends,
        "EmailStr": EmailStr,
        "FastAPI": FastAPI,
        "ImportReport": ImportReport,
        "JSONResponse": JSONResponse,
        "NewOrder": NewOrder,
        "Order": Order,
        "Path": Path,
        "Request": Request,
        "Response": Response,
        "SMTPException": SMTPException,
        "SessionDep": Annotated[AsyncSession, Depends(get_session)],
        "Starlette": Starlette,
        "User": User,
        "an_hour_ago": datetime.now(UTC) - timedelta(hours=1),
        "create_async_engine": create_async_engine,
        "current_user": current_user,
        "current_user_id": current_user_id,
        "engine": engine,
        "get_session": get_session,
        "partial": partial,
        "read": read,
        "request_id": request_id,
        "require_admin": require_admin,
        "sessions": lambda: AsyncSession(engine, expire_on_commit=False),
        "tenant": tenant,
    }
